"""The JSON API of a running server: what it answers is what the model says, and what it refuses."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import pytest
from asking import LIMITS, post, refused
from schemas import check

from ulmfit_jax import TextClassifier

TEXTS = ["The kettle was lovely.", "", "Ein <b>Café</b> ☃ 👩‍🔬", "The bus was gloomy. " * 30, "a half \ud83d of a pair"]


def test_many_texts_get_the_models_probabilities(client: httpx.Client, classifier: TextClassifier) -> None:
    answers = post(client, "/api/predict", {"texts": TEXTS}).json()["answers"]
    labels = classifier.classes_.tolist()
    assert [list(answer["probabilities"]) for answer in answers] == [labels] * len(TEXTS)
    given = np.array([list(answer["probabilities"].values()) for answer in answers])
    np.testing.assert_allclose(given, classifier.predict_proba(TEXTS), atol=1e-6, rtol=0)
    assert [answer["label"] for answer in answers] == classifier.predict(TEXTS).tolist()
    assert [answer["probability"] for answer in answers] == given.max(axis=1).tolist()


def test_one_text_and_none(client: httpx.Client, classifier: TextClassifier) -> None:
    (answer,) = post(client, "/api/predict", {"text": TEXTS[0]}).json()["answers"]
    assert answer["label"] == classifier.predict(TEXTS[0])
    assert post(client, "/api/predict", {"texts": []}).json() == {"answers": []}


@pytest.mark.parametrize("method", ["gradient", "leave_out"])
@pytest.mark.parametrize("text", ["The kettle was lovely.", "", "<script>alert(1)</script>", "half \ud83d"])
def test_words_are_those_of_the_models_explanation(
    client: httpx.Client, classifier: TextClassifier, method: str, text: str
) -> None:
    answer = post(client, "/api/explain", {"text": text, "label": "bad", "method": method}).json()
    expected = classifier.explain(text, "bad", method)
    assert (answer["label"], answer["method"]) == ("bad", method)
    assert answer["probability"] == pytest.approx(expected.probability, abs=1e-6)
    assert [entry["word"] for entry in answer["words"]] == list(expected.words)
    importances = [entry["importance"] for entry in answer["words"]]
    assert importances == pytest.approx(expected.importances.tolist(), abs=1e-5)
    strongest = max((abs(importance) for importance in importances), default=0.0)
    for entry in answer["words"]:
        share = entry["importance"] / strongest
        assert entry["shade"] == (pytest.approx(share, abs=1e-6) if abs(share) >= 0.15 else 0)


def test_no_label_is_the_most_probable_one(client: httpx.Client, classifier: TextClassifier) -> None:
    for value in ({"text": TEXTS[0]}, {"text": TEXTS[0], "label": None}):
        assert post(client, "/api/explain", value).json()["label"] == classifier.predict(TEXTS[0])


def test_the_model(client: httpx.Client, classifier: TextClassifier) -> None:
    about = client.get("/api/model").json()
    assert (about["name"], about["kind"], about["labels"]) == ("tiny <i>one</i>", "classifier", ["bad", "good"])
    assert about["architecture"] == classifier.artifact.architecture.to_dict()
    assert about["limits"]["characters"] == LIMITS.characters


@pytest.mark.parametrize(
    ("path", "value", "code", "part"),
    [
        ("predict", [], "wrong_type", "the request is a list: send a JSON object"),
        ("predict", None, "wrong_type", "the request is null"),
        ("predict", {}, "wrong_fields", 'give either "text", a string, or "texts"'),
        ("predict", {"text": "a", "texts": []}, "wrong_fields", "give either"),
        ("predict", {"text": "a", "\ud800" * 99: 1}, "wrong_fields", "there is no field"),
        ("predict", {"text": None}, "wrong_type", '"text" is null: send a string'),
        ("predict", {"text": ["a"]}, "wrong_type", '"text" is a list'),
        ("predict", {"texts": "a"}, "wrong_type", '"texts" is a string: send a list of strings'),
        ("predict", {"texts": ["a", 1e400]}, "wrong_type", '"texts"[1] is a number'),
        ("predict", {"texts": [True]}, "wrong_type", '"texts"[0] is true or false'),
        ("explain", {}, "wrong_fields", 'there is no "text"'),
        ("explain", {"texts": ["a"]}, "wrong_fields", "there is no field 'texts'"),
        ("explain", {"text": {}}, "wrong_type", '"text" is an object'),
        ("explain", {"text": "a", "label": "ugly"}, "unknown_label", "none of the labels bad, good"),
        ("explain", {"text": "a", "label": ["bad"]}, "unknown_label", "none of the labels"),
        ("explain", {"text": "a", "label": "\ud800"}, "unknown_label", "none of the labels"),
        ("explain", {"text": "a", "method": "magic"}, "unknown_method", "gradient, leave_out"),
        ("explain", {"text": "a", "method": {}}, "unknown_method", "gradient, leave_out"),
    ],
)
def test_wrong_questions_are_one_sentence(client: httpx.Client, path: str, value: Any, code: str, part: str) -> None:
    refused(post(client, f"/api/{path}", value), 400, code, part)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe{}", b'{"text": "a"', b"[" * 20_000, b'{"text": ' + b"1" * 9_000 + b"}", b'"\xed\xa0\x80"'],
    ids=["nothing", "a brace", "not UTF-8", "cut off", "deep", "a huge number", "a surrogate in UTF-8"],
)
def test_what_is_no_json_is_refused(client: httpx.Client, body: bytes) -> None:
    reply = client.post("/api/predict", content=body, headers={"Content-Type": "application/json; charset=utf-8"})
    refused(reply, 400, "no_json", "cannot be read as JSON in UTF-8")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_another_content_type_is_refused(client: httpx.Client, kind: str) -> None:
    refused(
        client.post("/api/predict", content=b'{"text": "a"}', headers={"Content-Type": kind}), 415, "unsupported_type"
    )


@pytest.mark.parametrize(
    ("path", "value", "part"),
    [
        ("predict", {"text": "a" * (LIMITS.characters + 1)}, "3,001 characters: send at most 3,000"),
        ("predict", {"texts": ["a" * 1_000] * 4}, "4,000 characters"),
        ("predict", {"texts": [""] * 9}, "9 texts: send at most 8"),
        ("explain", {"text": "a " * 251}, "502 characters: send at most 500"),
        ("explain", {"text": "a " * 21, "method": "leave_out"}, "42 characters: send at most 40"),
        ("predict", {"text": "\U0001f600" * 100_000}, "more than 101,536 bytes"),
    ],
)
def test_too_much_is_refused(client: httpx.Client, path: str, value: Any, part: str) -> None:
    refused(post(client, f"/api/{path}", value), 413, "too_large", part)


def test_as_much_as_is_allowed_is_answered(client: httpx.Client) -> None:
    """Every character in the longest form that JSON has."""
    assert post(client, "/api/predict", {"text": "\U0001f600" * LIMITS.characters}).status_code == 200
    assert post(client, "/api/predict", {"texts": ["Aa1!"] * LIMITS.texts}).status_code == 200
    assert post(client, "/api/explain", {"text": "x" * LIMITS.explained}).status_code == 200


def test_a_body_without_end_is_broken_off(client: httpx.Client) -> None:
    sent = 0

    def parts() -> Any:
        nonlocal sent
        while sent < 500_000_000:
            sent += 65_536
            yield b" " * 65_536

    try:
        reply = client.post("/api/predict", content=parts(), headers={"Content-Type": "application/json"})
        refused(reply, 413, "too_large")
    except httpx.HTTPError:  # the connection ends while the client still writes
        pass
    assert sent < 500_000_000
    assert client.get("/api/model").status_code == 200


def test_paths_and_methods_that_are_not(client: httpx.Client) -> None:
    refused(client.get("/api/nothing"), 404, "not_found")
    refused(client.get("/%2e%2e/pyproject.toml"), 404, "not_found")
    refused(client.get("/page/index.html"), 404, "not_found")
    refused(client.get("/api/predict"), 405, "wrong_method")
    assert client.get("/api/predict").headers["allow"] == "POST"


def test_answers_are_what_the_description_promises(client: httpx.Client) -> None:
    description = client.get("/openapi.json").json()
    asked = {
        "/api/model": client.get("/api/model"),
        "/api/predict": post(client, "/api/predict", {"texts": TEXTS}),
        "/api/explain": post(client, "/api/explain", {"text": TEXTS[0]}),
        "/api/texts": client.post("/api/texts?name=a.txt", content=b"one\ntwo\n"),
    }
    assert asked.keys() == description["paths"].keys()
    for path, reply in asked.items():
        ((_, operation),) = description["paths"][path].items()
        assert reply.status_code == 200
        check(reply.json(), operation["responses"]["200"]["content"]["application/json"]["schema"], description)
    wrong = operation["responses"]["default"]["content"]["application/json"]["schema"]
    check(client.get("/api/predict").json(), wrong, description)


def test_the_reference_page_names_every_path_and_loads_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for path in client.get("/openapi.json").json()["paths"]:
        assert f"<code>{'GET' if path == '/api/model' else 'POST'} {path}</code>" in page.text
    assert "<script" not in page.text
    assert "://" not in page.text
