"""What stands before every request: who may ask, and what browsers may do with the answers."""

from __future__ import annotations

import re
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ulmfit_jax.serving.replies import refused

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
"""Names under which a browser on this machine reaches a server that listens on it alone."""

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(?::\d+)?")


class Guard:
    """Refuses what another site's page asks in the name of a browser's user, and sets the security headers.

    A page of another site can make a browser ask this server: by a form or script of its own (it is known by its
    `Origin`), or through a name that it has pointed here, DNS rebinding (known by the `Host`).
    """

    def __init__(self, application: ASGIApp, hosts: Collection[str] | None):
        """Wrap an application; `hosts` are the names that it answers to, None any."""
        self._application, self._hosts = application, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        application = self._application if refusal is None else refused(403, "not_allowed", refusal)
        await application(scope, receive, send_guarded)

    def _refusal(self, method: str, headers: Headers) -> str | None:
        host = headers.get("host", "").lower()
        name = _HOST.fullmatch(host)
        if name is None or (self._hosts is not None and name[1] not in self._hosts):
            return "this server answers to other names: open it under the address that ulmfit serve has printed"
        origin = headers.get("origin")
        if method not in ("GET", "HEAD") and origin is not None and origin.lower().partition("://")[2] != host:
            return "a page of another site asks: this server answers its own page, and programs without a page"
        return None
