"""When a run saves its state, and when it ends early: decided alike in all processes of the run."""

from __future__ import annotations

import time

import jax

from ulmfit_jax.training.interruption import Interruption
from ulmfit_jax.training.loop_options import LoopOptions
from ulmfit_jax.training.processes import is_first, largest_of_all

STEPS_BETWEEN_AGREEMENTS = 16
"""Several processes ask each other every so many steps whether to save or to end."""


class Saving:
    """Watches the clock, the steps and, within its context `interruption`, the signals."""

    def __init__(self, options: LoopOptions, has_folder: bool):
        """Nothing is due, and no signal watched, where there is no folder to save in."""
        self._options, self._has_folder = options, has_folder
        self.interruption = Interruption(has_folder)
        self._last = time.monotonic()

    def is_due(self, step: int) -> bool:
        """Whether to save after this step of the run."""
        if not self._has_folder or (jax.process_count() > 1 and step % STEPS_BETWEEN_AGREEMENTS):
            return False
        asked, due = self._agree()
        if self._options.save_steps is not None:
            due = step % self._options.save_steps == 0
        return asked or due

    def is_asked(self) -> bool:
        """Whether a signal has come to any process; called by all of them."""
        return self._has_folder and self._agree()[0]

    def done(self) -> None:
        """The state has just been saved."""
        self._last = time.monotonic()

    def end_if_asked(self) -> None:
        """Called when the state is saved.

        Raises:
            TrainingInterrupted: a signal has come to a process of the run.
        """
        self._agree()
        self.interruption.end_if_asked()

    def _agree(self) -> tuple[bool, bool]:
        """Whether a signal has come to any process, and whether the first one finds it time to save."""
        due = is_first() and time.monotonic() - self._last > self._options.save_seconds
        asked, due_anywhere = largest_of_all((self.interruption.asked, int(due)))
        self.interruption.ask(asked)
        return asked > 0, due_anywhere > 0
