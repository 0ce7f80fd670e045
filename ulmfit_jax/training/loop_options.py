"""How a training run is kept, and what it ends with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.parameters import Tree


@dataclass(frozen=True)
class LoopOptions:
    """How a run is kept.

    Attributes:
        save_seconds: time between saved states, besides the one after each epoch.
        save_steps: save every so many steps instead; for tests.
        keep_best: return the parameters of the epoch with the lowest `valid_loss` instead of the last.
        patience: end a stage after so many epochs without a `valid_loss` lower than the stage has had, as fastai's
            `EarlyStoppingCallback`; None never does. Without validation data there is nothing to wait for.
        skip_nonfinite: how many steps of the run may be left out because their loss or gradient is not finite; the
            next one ends the run, with 0 the first.

    Raises:
        ConfigError: a patience below 1, or fewer than 0 steps to skip.
    """

    save_seconds: float = 300.0
    save_steps: int | None = None
    keep_best: bool = False
    patience: int | None = None
    skip_nonfinite: int = 0

    def __post_init__(self) -> None:
        if self.patience is not None and self.patience < 1:
            raise ConfigError(f"patience is {self.patience}: give at least 1 epoch, or None for no early stopping")
        if self.skip_nonfinite < 0:
            raise ConfigError(f"skip_nonfinite is {self.skip_nonfinite}: it counts steps, 0 for none")


def kept_row(history: Sequence[dict[str, Any]], keep_best: bool) -> dict[str, Any]:
    """The row of the table of epochs whose parameters a run ends with: the last, or the first with the lowest
    `valid_loss`, where NaN counts as the highest."""
    measured = [row for row in history if "valid_loss" in row]
    if not keep_best or not measured:
        return history[-1]
    return min(measured, key=lambda row: math.inf if math.isnan(row["valid_loss"]) else row["valid_loss"])


@dataclass(frozen=True)
class TrainResult:
    """What a run ends with: NumPy parameters and statistics, and the rows of the table of epochs."""

    parameters: Tree
    statistics: Tree
    history: list[dict[str, Any]]
