"""A real server in a thread of this process, and questions to it."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="uvicorn, which serves, is not installed")
pytest.importorskip("starlette", reason="starlette, which serves, is not installed")
pytest.importorskip("httpx", reason="httpx, which asks the server, is not installed")

import httpx

from ulmfit_jax.serving.answers import ServedModel
from ulmfit_jax.serving.limits import Limits
from ulmfit_jax.serving.server import address_of, bound_socket, new_server

LIMITS = Limits(texts=8, characters=3_000, explained=500, left_out=40, file_bytes=4_000, file_texts=20)


class Running:
    """A server until `end`."""

    def __init__(self, model: ServedModel, limits: Limits = LIMITS, **options: Any):
        self.listener = bound_socket("127.0.0.1", 0)
        self.address = address_of(self.listener).rstrip("/")
        self._server = new_server(model, self.listener, limits, **options)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self.listener]})
        self._thread.start()

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.address, timeout=300)

    def end(self) -> None:
        self._server.should_exit = True
        self._thread.join(60)
        self.listener.close()
        assert not self._thread.is_alive()


def post(client: httpx.Client, path: str, value: Any, headers: dict[str, str] | None = None) -> httpx.Response:
    """`value` as JSON in ASCII, which can hold half a surrogate pair."""
    return client.post(path, content=json.dumps(value), headers={"Content-Type": "application/json", **(headers or {})})


def refused(reply: httpx.Response, status: int, code: str, *parts: str) -> None:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    error = reply.json()["error"]
    assert (set(reply.json()), set(error), error["code"]) == ({"error"}, {"code", "message"}, code)
    assert len(error["message"]) < 400
    for part in parts:
        assert part in error["message"]
