"""Progress for a person at a console: a bar with time left on a terminal, a table of epochs everywhere."""

from __future__ import annotations

import sys
import time
from typing import Any, TextIO

from ulmfit_jax.counted import counted
from ulmfit_jax.streams import silence
from ulmfit_jax.training.stages import Stage

_TITLES = {
    "train_loss": "train loss",
    "valid_loss": "valid loss",
    "error_rate": "error rate",
    "perplexity_backward": "backwards",
}
_PLAIN_SECONDS = 60.0


class ConsoleProgress:
    """Prints a table per stage, one row an epoch; on a terminal also a bar that is wiped when the row is printed.

    Off a terminal nothing is rewritten: a line a minute says how far a long epoch is.
    """

    def __init__(self, stream: TextIO | None = None):
        """Print to `stream`, standard error by default (standard output is for results)."""
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._stage = ""
        self._total = 0
        self._last = 0.0
        self._first: tuple[int, float] | None = None

    def stage_started(
        self, stage: Stage, peaks: tuple[float, ...], columns: tuple[str, ...], total_steps: int, done_steps: int
    ) -> None:
        """Print the head of the stage's table."""
        self._columns = ("train_loss", *columns)
        how = f"{counted(stage.epochs, 'epoch')}, {counted(total_steps, 'step')}, rate {_rates(peaks)}"
        self._print(f"\n{stage.name}: {'fitted at once' if stage.is_fitted else how}")
        titles = [_TITLES.get(column, column) for column in self._columns]
        self._print("epoch" + "".join(f"{title:>12}" for title in titles) + f"{'time':>10}")
        self.run_started(stage.name, total_steps, done_steps)

    def run_started(self, name: str, total_steps: int, done_steps: int = 0) -> None:
        """Steps begin, those of a stage or others that have no epochs and no table."""
        self._stage, self._total, self._first, self._last = name, total_steps, None, time.monotonic()
        if self._terminal:
            self._bar(done_steps / max(total_steps, 1), f"{name}: compiling the first step")

    def run_done(self) -> None:
        """Wipe the bar of such steps."""
        if self._terminal:
            self._write("\r\x1b[2K")

    def documents_read(self, done: int, total: int) -> None:
        """Redraw the bar, or print a line a minute."""
        if self._is_time(time.monotonic()):
            self._show(done / total, f"{self._stage}: {done:,}/{total:,} documents read, whose vectors are kept")

    def step_done(self, done_steps: int, loss: float) -> None:
        """Redraw the bar, at most ten times a second.

        The first step of a stage is compiled: the time left is judged by the steps after it.
        """
        now = time.monotonic()
        first_step, first_time = self._first = self._first or (done_steps, now)
        if not self._is_time(now):
            return
        line = f"{self._stage}: {done_steps:,}/{self._total:,} steps, loss {loss:.4f}"
        if done_steps > first_step:
            per_step = (now - first_time) / (done_steps - first_step)
            line += f", {_clock(per_step * (self._total - done_steps))} left"
        self._show(done_steps / max(self._total, 1), line)

    def epoch_done(self, row: dict[str, Any]) -> None:
        """Print the epoch's row."""
        cells = "".join(f"{_number(column, row.get(column)):>12}" for column in self._columns)
        self._print(f"{row['epoch']:>5}{cells}{_clock(row['seconds']):>10}")

    def message(self, text: str) -> None:
        """Print a line."""
        self._print(text)

    def _is_time(self, now: float) -> bool:
        if now - self._last < (0.1 if self._terminal else _PLAIN_SECONDS):
            return False
        self._last = now
        return True

    def _show(self, share: float, line: str) -> None:
        if self._terminal:
            self._bar(share, line)
        else:
            self._print(line)

    def _bar(self, share: float, line: str) -> None:
        filled = round(24 * share)
        self._write(f"\r\x1b[2K{'━' * filled}{'╌' * (24 - filled)} {line}")

    def _print(self, text: str) -> None:
        wipe = "\r\x1b[2K" if self._terminal else ""
        self._write(f"{wipe}{text}\n")

    def _write(self, text: str) -> None:
        """Print; where nobody reads it any more, training goes on."""
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            silence(self._stream)


def _number(column: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if column == "perplexity" else f"{value:.4f}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def _rates(peaks: tuple[float, ...]) -> str:
    return " to ".join(dict.fromkeys(f"{rate:.2g}" for rate in (peaks[0], peaks[-1])))
