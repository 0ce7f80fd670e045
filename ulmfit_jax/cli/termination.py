"""Signals that end a command: SIGTERM does it as Ctrl-C does, with a sentence, and both are answered at once."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections.abc import Iterator
from types import FrameType

PATIENCE = 0.3
"""A command that has ended so many seconds after a signal needs no answer."""

_ENDED = b"\0"
"""In the pipe: no number of a signal."""


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


@contextlib.contextmanager
def interruptions_answered(sentence: str) -> Iterator[None]:
    """While this lasts, the first Ctrl-C or SIGTERM prints a line on standard error if the command does not end soon.

    Python handles signals between its own instructions, and a compilation or a step on a device is one of them: until
    it has ended, nothing would be heard of the signal. So a thread reads from a pipe what has come.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    previous = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    thread = threading.Thread(target=_answer, args=(reader, sentence), name="interruptions", daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous)
        os.write(writer, _ENDED)  # workers may hold copies of this end of the pipe, so closing it would not be noticed
        thread.join()
        os.close(writer)
        os.close(reader)


def _answer(reader: int, sentence: str) -> None:
    while _ENDED not in (received := os.read(reader, 64)):
        if {signal.SIGINT, signal.SIGTERM}.isdisjoint(received):
            continue
        has_ended = select.select([reader], [], [], PATIENCE)[0] and _ENDED in os.read(reader, 64)
        if not has_ended:
            start = "\n" if os.isatty(2) else ""  # a terminal has shown ^C, perhaps behind a line that is drawn again
            with contextlib.suppress(OSError):
                os.write(2, f"{start}ulmfit: {sentence}\n".encode())
        return
