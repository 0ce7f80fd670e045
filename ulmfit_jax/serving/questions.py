"""What requests ask, read from their bodies without trusting these: types, names and sizes are checked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from ulmfit_jax.inference.explain import METHODS
from ulmfit_jax.serving.limits import Limits, Refusal

_DROPPED = 64 * 2**20
"""Bytes of a body that is too long that are read before the connection ends."""


@dataclass(frozen=True)
class ExplanationQuestion:
    """A text to explain; `label` None is the most probable one."""

    text: str
    label: str | None
    method: str


async def read_body(request: Request, limit: int, seconds: float) -> bytes:
    """The body of a request, kept no further than `limit` bytes and waited for no longer than `seconds`.

    What comes after is read and dropped up to `_DROPPED` bytes: most clients read no answer before they have sent all.

    Raises:
        Refusal: it is longer, or takes longer.
    """
    body, size = bytearray(), 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size <= limit:
                    body += part
                elif size > limit + _DROPPED:
                    break
    except TimeoutError as error:
        raise Refusal(408, "too_slow", f"the request was not whole after {seconds:g} seconds: send it again") from error
    if size > limit:
        raise Refusal(413, "too_large", f"the request has more than {limit:,} bytes: send less at a time")
    return bytes(body)


async def read_object(request: Request, limits: Limits) -> dict[str, Any]:
    """The JSON object in the body of a request.

    Raises:
        Refusal: the body is too long, not declared as JSON, no JSON, or JSON of another kind.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal(415, "unsupported_type", "the request is not JSON: send it with Content-Type: application/json")
    body = await read_body(request, limits.body_bytes, limits.body_seconds)
    try:
        value = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:100]
        raise Refusal(400, "no_json", f"the request cannot be read as JSON in UTF-8 ({reason})") from error
    if not isinstance(value, dict):
        raise Refusal(400, "wrong_type", f"the request is {_spoken(value)}: send a JSON object")
    return value


def asked_texts(value: dict[str, Any], limits: Limits) -> list[str]:
    """The texts of a prediction.

    Raises:
        Refusal: another field, not exactly one of `text` and `texts`, another type, or too much.
    """
    _check_names(value, {"text", "texts"})
    if len(value) != 1:
        raise Refusal(400, "wrong_fields", 'give either "text", a string, or "texts", a list of strings')
    if "text" in value:
        texts = [_string(value["text"], '"text"')]
    else:
        if not isinstance(value["texts"], list):
            raise Refusal(400, "wrong_type", f'"texts" is {_spoken(value["texts"])}: send a list of strings')
        texts = [_string(text, f'"texts"[{index}]') for index, text in enumerate(value["texts"])]
    if len(texts) > limits.texts:
        raise Refusal(413, "too_large", f"there are {len(texts):,} texts: send at most {limits.texts:,} at a time")
    _check_size(sum(map(len, texts)), limits.characters)
    return texts


def asked_explanation(
    value: dict[str, Any], labels: Sequence[str], methods: Sequence[str], limits: Limits
) -> ExplanationQuestion:
    """The text to explain, with the label, one of `labels`, and the method, the first of `methods` by default.

    Raises:
        Refusal: another field, no text, another type, an unknown label or method, or too much.
    """
    _check_names(value, {"text", "label", "method"})
    if "text" not in value:
        raise Refusal(400, "wrong_fields", 'there is no "text": send one, a string')
    label = value.get("label")
    if label is not None and (not isinstance(label, str) or label not in labels):
        raise Refusal(400, "unknown_label", f'"label" is none of the labels {", ".join(labels)}')
    method = value.get("method", methods[0])
    if method not in methods:
        raise Refusal(400, "unknown_method", f'"method" is none of {", ".join(methods)}')
    text = _string(value["text"], '"text"')
    _check_size(len(text), limits.explained if method == METHODS[0] else limits.left_out)
    return ExplanationQuestion(text, label, method)


def _check_names(value: dict[str, Any], known: set[str]) -> None:
    unknown = sorted(value.keys() - known)
    if unknown:
        raise Refusal(
            400, "wrong_fields", f"there is no field {unknown[0][:40]!r}: there are {', '.join(sorted(known))}"
        )


def _check_size(characters: int, limit: int) -> None:
    if characters > limit:
        raise Refusal(413, "too_large", f"there are {characters:,} characters: send at most {limit:,} at a time")


def _string(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise Refusal(400, "wrong_type", f"{name} is {_spoken(value)}: send a string")
    return value


def _spoken(value: Any) -> str:
    names = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), "null")
