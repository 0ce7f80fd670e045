"""The model is used by one request at a time, the server stays awake meanwhile, and a defect is told as one."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import httpx
import pytest
from asking import Running, post, refused

from reviews import reviews
from ulmfit_jax import Ensemble, TextClassifier
from ulmfit_jax.serving.answers import ServedModel
from ulmfit_jax.serving.limits import Limits


class Slow(ServedModel):
    """Waits to be let go, and counts who is in it at once."""

    def __init__(self, model: TextClassifier):
        super().__init__(model, "slow")
        self.inside, self.most, self.let_go = 0, 0, threading.Event()

    def predictions(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        if texts[0] == "defect":
            raise RuntimeError("a defect")
        self.inside += 1
        self.most = max(self.most, self.inside)
        assert self.let_go.wait(120)
        time.sleep(0.01)
        self.inside -= 1
        return [{} for _ in texts]


@pytest.fixture
def slow(classifier: TextClassifier) -> Iterator[tuple[Slow, Running]]:
    model = Slow(classifier)
    running = Running(model, Limits(waiting=3))
    yield model, running
    model.let_go.set()
    running.end()


def test_one_request_at_a_time_and_the_surplus_is_refused(slow: tuple[Slow, Running]) -> None:
    model, running = slow
    with running.client() as client, ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(post, client, "/api/predict", {"text": "a"}) for _ in range(8)]
        answered = as_completed(asked, timeout=120)
        for _ in range(4):
            refused(next(answered).result(), 503, "busy", "3 requests are waiting")
        assert client.get("/api/model").status_code == 200
        assert (model.inside, sum(one.done() for one in asked)) == (1, 4)
        model.let_go.set()
        assert [one.result().status_code for one in answered] == [200] * 4
    assert model.most == 1


def test_a_defect_is_told_as_one_and_the_server_goes_on(slow: tuple[Slow, Running]) -> None:
    model, running = slow
    model.let_go.set()
    with running.client() as client:
        reply = post(client, "/api/predict", {"text": "defect"})
        refused(reply, 500, "defect", "this is a defect")
        assert reply.headers["connection"] == "close"
        assert "content-security-policy" in reply.headers
        assert post(client, "/api/predict", {"text": "a"}).status_code == 200


def test_an_ensemble_predicts_and_explains_by_leaving_words_out(classifier: TextClassifier) -> None:
    running = Running(ServedModel(Ensemble([classifier, classifier]), "both"))
    try:
        with running.client() as client:
            about = client.get("/api/model").json()
            assert (about["kind"], about["members"]) == ("ensemble", 2)
            assert (about["explains"], about["methods"]) == (True, ["leave_out"])
            (answer,) = post(client, "/api/predict", {"text": "lovely"}).json()["answers"]
            assert answer["probability"] == pytest.approx(classifier.predict_proba("lovely").max(), abs=1e-6)
            found = post(client, "/api/explain", {"text": "A lovely bus"}).json()
            expected = classifier.explain("A lovely bus", method="leave_out")
            assert (found["label"], found["method"]) == (expected.label, "leave_out")
            importances = [entry["importance"] for entry in found["words"]]
            assert importances == pytest.approx(expected.importances.tolist(), abs=1e-3)
            other = {"text": "lovely", "method": "gradient"}
            refused(post(client, "/api/explain", other), 400, "unknown_method", "none of leave_out")
            refused(post(client, "/api/explain", {"text": "a" * 2001}), 413, "too_large")
    finally:
        running.end()


def test_members_that_read_different_tokens_are_not_explained(classifier: TextClassifier) -> None:
    other = TextClassifier(None, "tiny", lm_epochs=0, epochs=(1, 0, 0, 0), devices=1).fit(*reviews(40, seed=5))
    running = Running(ServedModel(Ensemble([classifier, other]), "both"))
    try:
        with running.client() as client:
            about = client.get("/api/model").json()
            assert (about["explains"], about["methods"]) == (False, [])
            refused(post(client, "/api/explain", {"text": "lovely"}), 409, "cannot_explain")
    finally:
        running.end()


def test_more_requests_than_it_can_hold_are_refused(classifier: TextClassifier) -> None:
    """Two that have not come to their end are held, and a third is refused, until one of them is gone."""
    running = Running(ServedModel(classifier, "tiny"), Limits(requests=2))
    head = b"POST /api/texts?name=a.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
    try:
        with running.client() as client, contextlib.ExitStack() as open_ones:
            address = running.listener.getsockname()
            held = [open_ones.enter_context(socket.create_connection(address)) for _ in range(2)]
            for connection in held:
                connection.sendall(head)
            reply = _when(client, 503)
            refused(reply, 503, "busy", "2 requests are under way")
            assert "content-security-policy" in reply.headers
            held[0].close()
            assert _when(client, 200).status_code == 200
    finally:
        running.end()


def _when(client: httpx.Client, status: int) -> httpx.Response:
    """The first reply of this status, or the last of many."""
    for _ in range(200):
        if (reply := client.get("/api/model")).status_code == status:
            break
        time.sleep(0.05)
    return reply
