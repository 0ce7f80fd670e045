"""SIGTERM outside of training steps: a command that can be gone on with ends by it as by Ctrl-C, with a sentence."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM came; `signal` is its number."""

    signal = signal.SIGTERM


@contextlib.contextmanager
def termination_interrupts() -> Iterator[None]:
    """While this lasts, SIGTERM raises `Terminated` in the main thread, unless the process ignores it or handles it."""
    handled = signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
    if handled or threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _raise(number: int, frame: FrameType | None) -> None:
    raise Terminated
