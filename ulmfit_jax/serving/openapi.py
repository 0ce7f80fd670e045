"""The description of the API in the form of OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

import ulmfit_jax
from ulmfit_jax.inference.explain import METHODS
from ulmfit_jax.serving.files import LINES, TABLES
from ulmfit_jax.serving.limits import Limits

Schema = dict[str, Any]

_STRING: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_PROBABILITY: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_SHADE: Schema = {"type": "number", "minimum": -1, "maximum": 1}


def openapi(limits: Limits) -> dict[str, Any]:
    """The description as JSON holds it."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ulmfit serve",
            "version": ulmfit_jax.__version__,
            "description": "Labels of texts, and the words they come from. Requests are answered one after the other.",
        },
        "servers": [{"url": "."}],
        "paths": {
            "/api/model": {"get": _operation("What the model is, and how much may be asked at a time.", "Model")},
            "/api/predict": {
                "post": _operation(
                    f"Label and probabilities of one text or of up to {limits.texts:,}, together up to "
                    f"{limits.characters:,} characters.",
                    "Answers",
                    _json_body("Prediction"),
                )
            },
            "/api/explain": {
                "post": _operation(
                    f"How much each word of a text of up to {limits.explained:,} characters speaks for a label "
                    f"(up to {limits.left_out:,} with leave_out, which asks the model once for each word; for an "
                    "ensemble it is the only one).",
                    "Explanation",
                    _json_body("Explained"),
                )
            },
            "/api/texts": {"post": _texts_operation(limits)},
        },
        "components": {"schemas": _schemas()},
    }


def _operation(summary: str, answer: str, body: Schema | None = None) -> Schema:
    refusal = {"description": "One sentence says what is wrong.", "content": _content("Error")}
    operation: Schema = {
        "summary": summary,
        "responses": {"200": {"description": answer, "content": _content(answer)}, "default": refusal},
    }
    return operation | ({"requestBody": body} if body else {})


def _texts_operation(limits: Limits) -> Schema:
    file = {"required": True, "content": {"application/octet-stream": {}}}
    kinds = ", ".join((*TABLES, LINES))
    summary = (
        f"The texts in a file of up to {limits.file_bytes:,} bytes and {limits.file_texts:,} texts, for /api/predict."
    )
    return _operation(summary, "Texts", file) | {
        "parameters": [
            _parameter("name", True, f"of the file; it has to end in one of {kinds}"),
            _parameter(
                "column",
                False,
                "of the texts in a table; by default as in training, or one with a usual name",
            ),
        ]
    }


def _parameter(name: str, required: bool, description: str) -> Schema:
    return {"name": name, "in": "query", "required": required, "description": description, "schema": _STRING}


def _json_body(name: str) -> Schema:
    return {"required": True, "content": _content(name)}


def _content(name: str) -> Schema:
    return {"application/json": {"schema": _named(name)}}


def _named(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: dict[str, Schema], required: tuple[str, ...] | None = None) -> Schema:
    names = list(properties if required is None else required)
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | ({"required": names} if names else {})


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _schemas() -> dict[str, Schema]:
    labelled = {"label": _STRING, "probability": _PROBABILITY}
    by_label = {"type": "object", "additionalProperties": _PROBABILITY}
    answer = labelled | {"probabilities": by_label, "labels": _list(_STRING)}
    explained = {"text": _STRING, "label": {"type": ["string", "null"]}, "method": {"enum": list(METHODS)}}
    return {
        "Prediction": _object({"text": _STRING, "texts": _list(_STRING)}, ())
        | {"oneOf": [{"required": ["text"]}, {"required": ["texts"]}]},
        "Answers": _object({"answers": _list(_named("Answer"))}),
        "Answer": _object(answer, ("label", "probability", "probabilities")),
        "Explained": _object(explained, ("text",)),
        "Explanation": _object(labelled | {"method": {"enum": list(METHODS)}, "words": _list(_named("Word"))}),
        "Word": _object({"word": _STRING, "importance": _NUMBER, "shade": _SHADE}),
        "Texts": _object({"texts": _list(_STRING)}),
        "Model": _object(
            {
                "name": _STRING,
                "kind": {"enum": ["classifier", "ensemble"]},
                "labels": _list(_STRING),
                "multi_label": {"type": "boolean"},
                "explains": {"type": "boolean"},
                "methods": _list({"enum": list(METHODS)}),
                "members": {"type": "integer"},
                "backwards": _list({"type": "boolean"}),
                "architecture": {"type": "object", "additionalProperties": {"type": "integer"}},
                "tokenizer": _STRING,
                "limits": {"type": "object", "additionalProperties": {"type": "integer"}},
                "version": _STRING,
            }
        ),
        "Error": _object({"error": _object({"code": _STRING, "message": _STRING})}),
    }
