"""Schedules of the learning rate and of the momentum: pure functions of the step on the host, in float64.

A schedule is called with the number `t` of the step that is about to be taken, from 0 to `total_steps - 1`, and gives
the value for it at the position `t / total_steps`, as fastai's `ParamScheduler` does: the value at position 1 is the
limit that no step reaches. Steps past the end get the value at the end. A compiled train step takes the value as an
array, so a new value never compiles anything.

Rates are proportional to their peak: with a peak of 1 they are the factor for every layer group's own peak rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ulmfit_jax.errors import ConfigError

Schedule = Callable[[int], float]
"""The value for step `t`, counted from 0."""


@dataclass(frozen=True)
class Constant:
    """The same value for every step."""

    value: float

    def __call__(self, step: int) -> float:
        """The value."""
        return self.value


@dataclass(frozen=True)
class CosineSchedule:
    """Half a cosine wave from `start` to `middle`, then one from `middle` to `end` (fastai `combined_cos`).

    Attributes:
        total_steps: steps of the whole fit.
        start: value at step 0.
        middle: value at the position `pct_start`.
        end: value at the position 1.
        pct_start: share of the fit before the turn, in (0, 1); the turn need not fall on a step.
    """

    total_steps: int
    start: float
    middle: float
    end: float
    pct_start: float

    def __post_init__(self) -> None:
        _check_steps(self.total_steps)
        _check_share("pct_start", self.pct_start)

    def __call__(self, step: int) -> float:
        """The value for step `step`."""
        position = _position(step, self.total_steps)
        if position < self.pct_start:
            return _cosine(self.start, self.middle, position / self.pct_start)
        return _cosine(self.middle, self.end, (position - self.pct_start) / (1.0 - self.pct_start))


@dataclass(frozen=True)
class SlantedTriangle:
    """A short linear rise to `peak` and a long linear fall to `peak / ratio` (paper, equation 3).

    Attributes:
        total_steps: T, all steps of the fit, not those of one epoch.
        peak: highest value.
        cut_fraction: share of the steps in which the value rises, in (0, 1).
        ratio: how much smaller the lowest value is than the peak.
    """

    total_steps: int
    peak: float
    cut_fraction: float
    ratio: float

    def __post_init__(self) -> None:
        _check_steps(self.total_steps)
        _check_share("cut_fraction", self.cut_fraction)
        if not self.ratio >= 1.0:
            raise ConfigError(
                f"ratio is {self.ratio}, but the peak is at least 1 times the lowest value: give 1 or more"
            )

    @property
    def cut(self) -> int:
        """The step with the peak value; at least 1, where the paper's floor gives 0 and with it a division by zero."""
        # Rounded first: 100 * 0.29 is 28.999999999999996.
        return max(1, math.floor(round(self.total_steps * self.cut_fraction, 9)))

    def __call__(self, step: int) -> float:
        """The value for step `step`."""
        step = min(max(step, 0), self.total_steps)
        if step < self.cut:
            share = step / self.cut
        else:
            share = 1.0 - (step - self.cut) / (self.cut * (1.0 / self.cut_fraction - 1.0))
        # Where the cut was rounded down the paper's fall ends before T and would go on to negative rates.
        return self.peak * (1.0 + max(share, 0.0) * (self.ratio - 1.0)) / self.ratio


@dataclass(frozen=True)
class Exponential:
    """From `start` to `end` by the same factor every step (fastai `SchedExp`)."""

    total_steps: int
    start: float
    end: float

    def __post_init__(self) -> None:
        _check_steps(self.total_steps)
        if not (self.start > 0.0 and self.end > 0.0):
            raise ConfigError(
                f"an exponential schedule from {self.start} to {self.end} is not defined: give positive values"
            )

    def __call__(self, step: int) -> float:
        """The value for step `step`."""
        return self.start * (self.end / self.start) ** _position(step, self.total_steps)


def constant(value: float) -> Constant:
    """The same value for every step."""
    return Constant(value)


def one_cycle(
    total_steps: int, peak: float, div: float = 25.0, div_final: float = 1e5, pct_start: float = 0.25
) -> CosineSchedule:
    """The learning rate of fastai's `fit_one_cycle`: cosine `peak / div` to `peak`, then cosine to `peak / div_final`.

    Args:
        total_steps: steps of the whole fit.
        peak: highest rate.
        div: peak over the first rate; 25 in `fit_one_cycle`, 5 in `fine_tune`.
        div_final: peak over the last rate. (Optax's `final_div_factor` divides the first rate: it is 4000 there.)
        pct_start: share of the fit in which the rate rises; 0.25 in `fit_one_cycle`, 0.3 in `fine_tune`.

    Raises:
        ConfigError: no steps, or a share outside (0, 1).
    """
    return CosineSchedule(total_steps, peak / div, peak, peak / div_final, pct_start)


def one_cycle_momentum(
    total_steps: int, momentums: tuple[float, float, float] = (0.8, 0.7, 0.8), pct_start: float = 0.25
) -> CosineSchedule:
    """The momentum of fastai's `fit_one_cycle`: lowest where the learning rate is highest.

    Args:
        total_steps: steps of the whole fit.
        momentums: at the start, at the turn and at the end; (0.8, 0.7, 0.8) in fastai's text learners,
            (0.95, 0.85, 0.95) in its other learners.
        pct_start: as in `one_cycle`.

    Raises:
        ConfigError: no steps, or a share outside (0, 1).
    """
    start, middle, end = momentums
    return CosineSchedule(total_steps, start, middle, end, pct_start)


def flat_cosine(total_steps: int, peak: float, div_final: float = 1e5, pct_start: float = 0.75) -> CosineSchedule:
    """The learning rate of fastai's `fit_flat_cos`: `peak` up to `pct_start`, then cosine to `peak / div_final`.

    Raises:
        ConfigError: no steps, or a share outside (0, 1).
    """
    return CosineSchedule(total_steps, peak, peak, peak / div_final, pct_start)


def slanted_triangular(
    total_steps: int, peak: float, cut_fraction: float = 0.1, ratio: float = 32.0
) -> SlantedTriangle:
    """The paper's slanted triangular learning rate (section 3.2, equation 3; its defaults).

    Raises:
        ConfigError: no steps, a share outside (0, 1), or a ratio under 1.
    """
    return SlantedTriangle(total_steps, peak, cut_fraction, ratio)


def exponential(total_steps: int = 100, start: float = 1e-7, end: float = 10.0) -> Exponential:
    """The learning rates that fastai's `lr_find` tries (its defaults).

    Raises:
        ConfigError: no steps, or a value that is not positive.
    """
    return Exponential(total_steps, start, end)


def _cosine(start: float, end: float, position: float) -> float:
    return start + (1.0 + math.cos(math.pi * (1.0 - position))) * (end - start) / 2.0


def _position(step: int, total_steps: int) -> float:
    return min(max(step, 0), total_steps) / total_steps


def _check_steps(total_steps: int) -> None:
    if total_steps < 1:
        raise ConfigError(f"a schedule over {total_steps} steps is not possible: train for at least one batch")


def _check_share(name: str, share: float) -> None:
    if not 0.0 < share < 1.0:
        raise ConfigError(f"{name} is {share}, but it is a share of the steps: give a number between 0 and 1")
