"""A socket and a server on it, until Ctrl-C."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Collection

import uvicorn

from ulmfit_jax.data.records import TextColumn
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.serving.answers import ServedModel
from ulmfit_jax.serving.application import application
from ulmfit_jax.serving.guard import LOOPBACK
from ulmfit_jax.serving.limits import Limits

_PATIENCE = 5
"""Seconds that requests under way are given when the server is told to end."""


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket at an address of this machine; port 0 is any free one.

    Raises:
        ConfigError: there is no such address here, or the port is taken.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )[0]
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"--host {host[:100]!r} is no address of this machine: give one such as 127.0.0.1 or 0.0.0.0"
        ) from error
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"port {port} of {host} cannot be had ({error.strerror}): choose another one with --port, or 0 for any"
        ) from error
    return listener


def address_of(listener: socket.socket) -> str:
    """The address to type into a browser."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine reaches the socket."""
    return ipaddress.ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback


def new_server(
    model: ServedModel,
    listener: socket.socket,
    limits: Limits,
    proxies: Collection[str] = (),
    text_column: TextColumn = None,
) -> uvicorn.Server:
    """A server for a socket, not yet running.

    Args:
        model: answers.
        listener: a bound socket; where it is a loopback one, requests have to name this machine by a loopback name, or
            one of `proxies`.
        limits: of requests.
        proxies: names of proxies before the server.
        text_column: of tables for which none is named, as in `data.read_dataset`.
    """
    hosts = (*LOOPBACK, address_of(listener).split("/")[2].rpartition(":")[0]) if is_loopback(listener) else None
    config = uvicorn.Config(
        application(model, limits, hosts, proxies, text_column),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_PATIENCE,
        ws="none",
    )
    return uvicorn.Server(config)


def serve(server: uvicorn.Server, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Answer requests until SIGINT (Ctrl-C) or SIGTERM; those under way are answered first.

    Raises:
        KeyboardInterrupt: never; SIGINT is the usual end. SIGTERM ends the process when the server has ended.
    """
    ready()
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        return
