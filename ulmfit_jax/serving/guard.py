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

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]/@\s]+)(?::\d+)?")


def is_host_name(text: str) -> bool:
    """Whether it is a name or an address as a `Host` header has it, in lower case and without a port."""
    name = _HOST.fullmatch(text)
    return name is not None and name[1] == text == text.lower()


class Guard:
    """Refuses what another site's page asks in the name of a browser's user, and more than it can hold at a time, and
    sets the security headers.

    A page of another site can make a browser ask this server: by a form or script of its own (it is known by its
    `Origin`), or through a name that it has pointed here, DNS rebinding (known by the `Host`).
    """

    def __init__(
        self, application: ASGIApp, hosts: Collection[str] | None, proxies: Collection[str] = (), most: int = 128
    ):
        """Wrap an application.

        Args:
            application: answers what is not refused.
            hosts: the names that it answers to; None any.
            proxies: further names, under which its page may also have been opened at a proxy that does not pass its own
                name on.
            most: requests under way at a time.
        """
        self._application, self._proxies, self._most = application, proxies, most
        self._hosts = None if hosts is None else {*hosts, *proxies}
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        application = self._application
        if (refusal := self._refusal(scope["method"], Headers(scope=scope))) is not None:
            application = refused(403, "not_allowed", refusal)
        elif self._under_way >= self._most:
            application = refused(503, "busy", f"{self._under_way} requests are under way: try again in a while")
        self._under_way += 1
        try:
            await application(scope, receive, send_guarded)
        finally:
            self._under_way -= 1

    def _refusal(self, method: str, headers: Headers) -> str | None:
        host = headers.get("host", "").lower()
        name = _HOST.fullmatch(host)
        if name is None or (self._hosts is not None and name[1] not in self._hosts):
            return (
                "this server answers to other names: open it under the address that ulmfit serve has printed, or "
                "start it with --proxy NAME for the name of a proxy"
            )
        origin = headers.get("origin")
        if method not in ("GET", "HEAD") and origin is not None and not self._is_own(origin.lower(), host):
            return "a page of another site asks: this server answers its own page, and programs without a page"
        return None

    def _is_own(self, origin: str, host: str) -> bool:
        site = origin.partition("://")[2]
        name = _HOST.fullmatch(site)
        return site == host or (name is not None and name[1] in self._proxies)
