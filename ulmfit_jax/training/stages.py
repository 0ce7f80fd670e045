"""A stage: one `fit` of a recipe, with its rates, its schedule and the layers that it trains."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ulmfit_jax.errors import ConfigError
from ulmfit_jax.optim.groups import discriminative_rates
from ulmfit_jax.optim.schedules import (
    Schedule,
    constant,
    flat_cosine,
    one_cycle,
    one_cycle_momentum,
    slanted_triangular,
)

Rate = float | tuple[float | None, float]
"""A learning rate: one for all layer groups, `(a, b)` geometric from the first group to the last (fastai's `slice(a,
b)`), or `(None, b)`: b for the last group and b / 10 for the others (fastai's `slice(b)`)."""

SCHEDULES = ("one_cycle", "slanted_triangular", "flat_cosine", "constant")
OPTIMIZERS = ("adam", "nt_asgd", "lbfgs")


@dataclass(frozen=True)
class Stage:
    """One fit.

    Attributes:
        name: shown in the table of epochs.
        epochs: passes over the training data.
        learning_rate: peak rate (see `Rate`).
        freeze_to: layer groups before this index are frozen, negative from the end (fastai's `freeze_to`); 0 trains
            all.
        schedule: `one_cycle` (fastai), `slanted_triangular` (the paper), `flat_cosine` or `constant`.
        pct_start: share of the fit in which the rate rises; 0.25 in fastai's `fit_one_cycle`.
        div: start rate is the peak divided by this; 25 in fastai.
        momentums: Adam's first momentum at the start, at the peak rate and at the end; (0.8, 0.7, 0.8) in fastai's
            text learners.
        weight_decay: decoupled; 0.01 in fastai's optimiser, 0.1 in its ULMFiT notebook.
        max_norm: global norm that gradients are clipped to, None for no clipping.
        optimizer: `adam` (fastai's), or `nt_asgd`, the averaged SGD of the AWD-LSTM paper: all groups at one rate (30
            there, with a constant schedule, weight_decay 1.2e-6 and max_norm 0.25). `lbfgs` is for a head alone that
            is fitted to its minimum (`ulmfit_jax.training.linear_probe`): rates and schedule say nothing there.
    """

    name: str
    epochs: int
    learning_rate: Rate
    freeze_to: int = 0
    schedule: str = "one_cycle"
    pct_start: float = 0.25
    div: float = 25.0
    momentums: tuple[float, float, float] = (0.8, 0.7, 0.8)
    weight_decay: float = 0.01
    max_norm: float | None = None
    optimizer: str = "adam"

    @property
    def is_fitted(self) -> bool:
        """Whether a solver finds the head, without steps at a rate."""
        return self.optimizer == "lbfgs"

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise ConfigError(f"stage {self.name}: {self.epochs} epochs, it needs at least 1")
        if self.optimizer not in OPTIMIZERS:
            raise ConfigError(
                f"stage {self.name}: no optimizer {self.optimizer!r}, choose one of {', '.join(OPTIMIZERS)}"
            )
        if self.schedule not in SCHEDULES:
            raise ConfigError(f"stage {self.name}: no schedule {self.schedule!r}, choose one of {', '.join(SCHEDULES)}")

    def shape(self, total_steps: int) -> Schedule:
        """The rate's schedule for a peak of 1: multiply it with each group's peak rate."""
        if self.schedule == "one_cycle":
            return one_cycle(total_steps, 1.0, div=self.div, pct_start=self.pct_start)
        if self.schedule == "slanted_triangular":
            return slanted_triangular(total_steps, 1.0)
        if self.schedule == "flat_cosine":
            return flat_cosine(total_steps, 1.0)
        return constant(1.0)

    def momentum(self, total_steps: int) -> Schedule:
        """The schedule of Adam's first momentum: cycled against the rate by one-cycle, constant otherwise."""
        if self.schedule == "one_cycle":
            return one_cycle_momentum(total_steps, self.momentums, pct_start=self.pct_start)
        return constant(self.momentums[0])

    def peaks(self, n_groups: int) -> tuple[float, ...]:
        """The peak rates of the layer groups that train, out of `n_groups`."""
        return discriminative_rates(self.learning_rate, n_groups)[self.freeze_to :]

    def to_dict(self) -> dict[str, Any]:
        """The stage as plain values, as written to `config.json`."""
        return asdict(self)
