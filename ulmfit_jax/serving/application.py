"""The web application: which path gives what."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from ulmfit_jax.data.records import TextColumn
from ulmfit_jax.errors import UlmfitError
from ulmfit_jax.serving.answers import ServedModel
from ulmfit_jax.serving.files import texts_of_file
from ulmfit_jax.serving.guard import Guard
from ulmfit_jax.serving.limits import Limits, Refusal
from ulmfit_jax.serving.model_thread import ModelThread
from ulmfit_jax.serving.openapi import openapi
from ulmfit_jax.serving.questions import asked_explanation, asked_texts, read_body, read_object
from ulmfit_jax.serving.reference import reference_page
from ulmfit_jax.serving.replies import JsonReply, refused

_PAGE = {
    "/": ("index.html", "text/html"),
    "/style.css": ("style.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/table.js": ("table.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


class Service:
    """Answers the requests of the API with one model."""

    def __init__(self, model: ServedModel, limits: Limits, text_column: TextColumn = None):
        """Bind the model, which is used in one thread, and the column of texts in files for which none is named."""
        self._model, self._limits, self._text_column = model, limits, text_column
        self._thread = ModelThread(limits.waiting)
        self._description = openapi(limits)

    async def about(self, request: Request) -> Response:
        """GET /api/model."""
        return JsonReply(self._model.about(self._limits))

    async def predict(self, request: Request) -> Response:
        """POST /api/predict."""
        texts = asked_texts(await read_object(request, self._limits), self._limits)
        return JsonReply({"answers": await self._thread.run(self._model.predictions, texts) if texts else []})

    async def explain(self, request: Request) -> Response:
        """POST /api/explain."""
        value = await read_object(request, self._limits)
        if not self._model.methods:
            raise Refusal(409, "cannot_explain", "the members read different tokens: serve one of them")
        question = asked_explanation(value, self._model.labels, self._model.methods, self._limits)
        return JsonReply(await self._thread.run(self._model.explanation, question))

    async def texts(self, request: Request) -> Response:
        """POST /api/texts."""
        name = request.query_params.get("name", "")
        if not name:
            raise Refusal(400, "no_name", "the name of the file is missing: ask for /api/texts?name=FILE")
        if request.headers.get("content-type", "").lower().startswith("multipart/"):
            raise Refusal(415, "unsupported_type", "this is a form: send the bytes of the file alone")
        column = request.query_params.get("column") or self._text_column
        content = await read_body(request, self._limits.file_bytes, self._limits.body_seconds)
        return JsonReply({"texts": await run_in_threadpool(texts_of_file, name, content, column, self._limits)})

    async def openapi(self, request: Request) -> Response:
        """GET /openapi.json."""
        return JsonReply(self._description)

    async def reference(self, request: Request) -> Response:
        """GET /docs."""
        return HTMLResponse(reference_page(self._description))

    @contextlib.asynccontextmanager
    async def lifespan(self, application: Starlette) -> AsyncIterator[None]:
        """While the server runs."""
        try:
            yield
        finally:
            self._thread.close()


def application(
    model: ServedModel,
    limits: Limits,
    hosts: Collection[str] | None,
    proxies: Collection[str] = (),
    text_column: TextColumn = None,
) -> Guard:
    """The application for a server.

    Args:
        model: answers.
        limits: of requests.
        hosts: names that it answers to (`guard.LOOPBACK`); None any.
        proxies: names of proxies before it, under which its page may have been opened.
        text_column: of tables for which none is named, as in `data.read_dataset`.
    """
    service = Service(model, limits, text_column)
    routes = [
        Route("/api/model", service.about),
        Route("/api/predict", service.predict, methods=["POST"]),
        Route("/api/explain", service.explain, methods=["POST"]),
        Route("/api/texts", service.texts, methods=["POST"]),
        Route("/openapi.json", service.openapi),
        Route("/docs", service.reference),
        *(Route(path, _file(*file)) for path, file in _PAGE.items()),
    ]
    handlers: dict[Any, Any] = {
        Refusal: _refused,
        UlmfitError: lambda _, error: refused(400, "wrong_data", " ".join(str(error).split())),
        HTTPException: _not_found,
        ClientDisconnect: lambda _, error: refused(400, "disconnected", "the request broke off"),
        Exception: _defect,
    }
    return Guard(
        Starlette(routes=routes, exception_handlers=handlers, lifespan=service.lifespan),
        hosts,
        proxies,
        limits.requests,
    )


def _file(name: str, media_type: str) -> Any:
    content = (resources.files("ulmfit_jax.serving") / "page" / name).read_bytes()

    async def send(request: Request) -> Response:
        return Response(content, media_type=media_type)

    return send


def _refused(request: Request, error: Refusal) -> Response:
    # Without the end of the connection, the server would go on to read a body that is too long or too slow.
    headers = {"Connection": "close"} if error.status in (408, 413) else None
    return refused(error.status, error.code, error.message, headers)


def _defect(request: Request, error: Exception) -> Response:
    # The server ends the connection after a defect: without this word a client would ask again on it, in vain.
    message = "this is a defect: the server's terminal says more"
    return refused(500, "defect", message, {"Connection": "close"})


def _not_found(request: Request, error: HTTPException) -> Response:
    if error.status_code == 405:
        return refused(
            405, "wrong_method", f"{request.method} is not for this path: see /docs", dict(error.headers or {})
        )
    return refused(error.status_code, "not_found", "there is nothing under this path: see /docs")
