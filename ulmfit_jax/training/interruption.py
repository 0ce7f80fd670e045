"""Interruptions from outside: the step under way is finished and the state saved before training ends."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TrainingInterrupted(KeyboardInterrupt):
    """Training has ended early at a signal, with its state saved; `signal` is the signal's number."""

    def __init__(self, number: int):
        super().__init__(f"training was interrupted by {signal.Signals(number).name}; its state is saved")
        self.signal = number


class Interruption:
    """While this context lasts, SIGINT (Ctrl-C) and SIGTERM only ask training to end; a second one ends it at once.

    Signals reach the main thread alone: in any other, and where there is no state to save, nothing is changed. A signal
    that the process ignores, as a shell makes its background jobs ignore Ctrl-C, stays ignored.
    """

    def __init__(self, active: bool):
        """Watch, from `with` on, if `active`."""
        self._active = active
        self._previous: dict[int, Any] = {}
        self._asked = 0

    @property
    def asked(self) -> int:
        """The number of the signal that has come, 0 before."""
        return self._asked

    def ask(self, number: int) -> None:
        """A signal has come, here or to another process of the run; 0 is none."""
        self._asked = self._asked or number

    def end_if_asked(self) -> None:
        """Called when the state is saved.

        Raises:
            TrainingInterrupted: a signal has come.
        """
        if self._asked:
            raise TrainingInterrupted(self._asked)

    def __enter__(self) -> Interruption:
        if self._active and threading.current_thread() is threading.main_thread():
            heard = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
            self._previous = {number: signal.signal(number, self._handle) for number in heard}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._asked = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
