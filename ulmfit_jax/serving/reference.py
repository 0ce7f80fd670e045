"""The page at /docs: the description of the API for people, made of `/openapi.json`, without scripts."""

from __future__ import annotations

from html import escape
from typing import Any

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: API</title>
<link rel="stylesheet" href="style.css">
<link rel="icon" href="icon.svg">
</head>
<body>
<header>
<h1>{title}: API</h1>
<p>{description} Also as <a href="openapi.json">OpenAPI</a>. <a href="./">The page</a></p>
</header>
<main>
{operations}
<h2>Types</h2>
{types}
</main>
</body>
</html>
"""


def reference_page(description: dict[str, Any]) -> str:
    """HTML of an OpenAPI description as `ulmfit_jax.serving.openapi` makes it."""
    operations = [
        _operation(method.upper(), path, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    types = [_type(name, schema) for name, schema in description["components"]["schemas"].items()]
    info = description["info"]
    return _PAGE.format(
        title=escape(info["title"]),
        description=escape(info["description"]),
        operations="\n".join(operations),
        types="\n".join(types),
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    lines = [
        f"<section><h2><code>{method} {escape(path)}</code></h2>",
        f"<p>{escape(operation['summary'])}</p>",
        "<ul>",
    ]
    for parameter in operation.get("parameters", ()):
        needed = "" if parameter["required"] else " (may be left out)"
        lines.append(f"<li><code>?{escape(parameter['name'])}=</code>{needed}: {escape(parameter['description'])}</li>")
    if "requestBody" in operation:
        lines.append(f"<li>Request: {_body(operation['requestBody'])}</li>")
    lines += [f"<li>Answer: {_body(operation['responses']['200'])}</li>", "</ul></section>"]
    return "\n".join(lines)


def _body(body: dict[str, Any]) -> str:
    ((kind, content),) = body["content"].items()
    return _shown(content["schema"]) if content else f"the bytes, as <code>{escape(kind)}</code>"


def _type(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    fields = [
        f"<li><code>{escape(field)}</code>{'' if field in required else ' (may be left out)'}: {_shown(kind)}</li>"
        for field, kind in schema["properties"].items()
    ]
    return f'<section><h3 id="{escape(name)}">{escape(name)}</h3><ul>{"".join(fields)}</ul></section>'


def _shown(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "enum" in schema:
        return " or ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if schema["type"] == "array":
        return f"list of {_shown(schema['items'])}"
    if schema["type"] == "object" and "properties" in schema:
        return "object with " + ", ".join(
            f"<code>{escape(field)}</code> ({_shown(kind)})" for field, kind in schema["properties"].items()
        )
    if schema["type"] == "object":
        return f"object of {_shown(schema['additionalProperties'])} by name"
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    limits = f" from {schema['minimum']} to {schema['maximum']}" if "minimum" in schema else ""
    return escape(" or ".join(kinds)) + limits
