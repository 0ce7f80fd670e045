"""What the training loop tells while it runs. The library stays silent by default; faces pass an object of their
own."""

from __future__ import annotations

from typing import Any, Protocol

from ulmfit_jax.training.stages import Stage


class Progress(Protocol):
    """Receives what happens in a run, in order."""

    def stage_started(
        self, stage: Stage, peaks: tuple[float, ...], columns: tuple[str, ...], total_steps: int, done_steps: int
    ) -> None:
        """A stage begins, or goes on from `done_steps`; `peaks` are the highest rates of the layer groups that
        train."""

    def documents_read(self, done: int, total: int) -> None:
        """Before a stage's first step, so many documents of a set are read whose vectors it keeps."""

    def step_done(self, done_steps: int, loss: float) -> None:
        """A step is done; `loss` is the smoothed training loss."""

    def epoch_done(self, row: dict[str, Any]) -> None:
        """An epoch is done: its row of the table (`stage`, `epoch`, `train_loss`, the task's columns, `seconds`)."""

    def message(self, text: str) -> None:
        """Something worth a line: a resumed run, a saved state, an early stop."""


class SilentProgress:
    """Tells nobody."""

    def stage_started(
        self, stage: Stage, peaks: tuple[float, ...], columns: tuple[str, ...], total_steps: int, done_steps: int
    ) -> None:
        """Ignored."""

    def documents_read(self, done: int, total: int) -> None:
        """Ignored."""

    def step_done(self, done_steps: int, loss: float) -> None:
        """Ignored."""

    def epoch_done(self, row: dict[str, Any]) -> None:
        """Ignored."""

    def message(self, text: str) -> None:
        """Ignored."""
