"""A task for the loop without a network: its step is a line of NumPy, its validation losses are given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ulmfit_jax.errors import UlmfitError
from ulmfit_jax.optim.groups import LayerGroup
from ulmfit_jax.training.progress import SilentProgress
from ulmfit_jax.training.stages import Stage
from ulmfit_jax.training.task import StepControls, StepResult, TrainState

BATCHES = 5
START = {"w": np.array([1.0, -2.0], np.float32)}


class ScriptedTask:
    """Five batches an epoch. Parameters, carry and loss mix everything that a step is given, so that a step that is
    skipped, doubled, or taken with another batch, rate, number or carry shows in the end."""

    definition: Any = None
    groups: Sequence[LayerGroup] = (LayerGroup("all", ("w",)),)
    columns: tuple[str, ...] = ("valid_loss",)
    batches_per_epoch = BATCHES

    def __init__(self, valid_losses: Sequence[float] = (), bad_steps: dict[int, tuple[float, float]] | None = None):
        """The validation losses of the epochs in order (none: no validation), (loss, norm) of steps that go wrong."""
        self._valid_losses, self._bad_steps = list(valid_losses), bad_steps or {}
        self._evaluations = 0

    def train_batches(self, epoch: int, start: int) -> Iterator[tuple[float]]:
        for number in range(start, BATCHES):
            yield (np.float32(np.sin(1 + 10 * epoch + number)),)

    def initial_carry(self) -> np.ndarray:
        return np.zeros((1, 3), np.float32)

    def prepare(self, state: TrainState, told: Any) -> None:
        pass

    def step(self, optimizer: Any, trainable: frozenset[str], devices: Any, guarded: bool = False) -> Any:
        def step(state: TrainState, batch: tuple[Any], controls: StepControls) -> tuple[TrainState, StepResult]:
            rate, number = np.float32(controls.learning_rates[0]), int(controls.step)
            carry = np.float32(0.5) * np.asarray(state.carry) + batch[0]
            change = batch[0] + np.float32(controls.momentum) + np.float32(number) + carry.sum()
            parameters = state.parameters | {"w": np.asarray(state.parameters["w"]) * np.float32(0.9) + rate * change}
            loss, norm = self._bad_steps.get(number, (float(np.abs(parameters["w"]).sum()), 1.0))
            if guarded and number in self._bad_steps:
                return state, StepResult(np.float32(loss), np.float32(norm))
            return state._replace(parameters=parameters, carry=carry), StepResult(np.float32(loss), np.float32(norm))

        return step

    def evaluate(self, parameters: Any, statistics: Any) -> dict[str, float]:
        self._evaluations += 1
        return {"valid_loss": self._valid_losses[self._evaluations - 1]} if self._valid_losses else {}


class Interruption(UlmfitError):
    """What `StopAt` raises."""


class StopAt(SilentProgress):
    """Breaks a run off at its n-th event, counted from 0; `events` is how many there were."""

    def __init__(self, event: int | None = None):
        self._event, self.events = event, 0

    def _happened(self) -> None:
        self.events += 1
        if self._event == self.events - 1:
            raise Interruption

    def stage_started(
        self, stage: Stage, peaks: tuple[float, ...], columns: tuple[str, ...], total_steps: int, done_steps: int
    ) -> None:
        self._happened()

    def step_done(self, done_steps: int, loss: float) -> None:
        self._happened()

    def epoch_done(self, row: dict[str, Any]) -> None:
        self._happened()
