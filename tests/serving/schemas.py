"""Whether a value is what a description in OpenAPI's form promises: as much of JSON Schema as the server uses."""

from __future__ import annotations

from typing import Any

_TYPES = {"string": str, "number": (int, float), "integer": int, "boolean": bool, "array": list, "object": dict}


def check(value: Any, schema: dict[str, Any], description: dict[str, Any]) -> None:
    """Fails where `value` is not of `schema`."""
    if "$ref" in schema:
        schema = description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "enum" in schema:
        assert value in schema["enum"]
        return
    assert isinstance(value, _TYPES[schema["type"]]), (value, schema)
    if "minimum" in schema:
        assert schema["minimum"] <= value <= schema["maximum"]
    if schema["type"] == "array":
        for item in value:
            check(item, schema["items"], description)
    if schema["type"] == "object":
        assert set(schema.get("required", ())) <= value.keys()
        for name, item in value.items():
            inner = schema.get("properties", {}).get(name, schema["additionalProperties"])
            assert inner, name
            check(item, inner, description)
