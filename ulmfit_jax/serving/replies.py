"""Answers as JSON."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response


class JsonReply(Response):
    """A value as JSON in ASCII: a half of a surrogate pair, which has no UTF-8 form, is escaped like the rest."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The bytes."""
        return json.dumps(content, allow_nan=False).encode("ascii")


def refused(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> JsonReply:
    """`{"error": {"code": …, "message": …}}`."""
    return JsonReply({"error": {"code": code, "message": message}}, status, headers)
