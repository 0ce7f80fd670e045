"""What the learning-rate finder reads from a curve, against fastai's suggestions for the same curve."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracles.fastai.reference import fastai, torch
from ulmfit_jax.optim.schedules import exponential
from ulmfit_jax.training.lr_finder import LearningRates

READINGS = (fastai.valley, fastai.minimum, fastai.steep, fastai.slide)


@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept:DeprecationWarning")  # fastai hands NumPy its tensors
@given(
    steps=st.integers(41, 100) | st.just(100),
    planned=st.just(100) | st.integers(100, 200),
    noise=st.floats(0.0, 0.3),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=40)
def test_readings(steps: int, planned: int, noise: float, seed: int) -> None:
    """A curve that wanders, falls and rises; it has fewer steps than planned where a run stopped early."""
    random, t = np.random.default_rng(seed), np.arange(steps)
    drawn = 5 - 0.02 * t + 3 * np.exp((t - 70) / 15) + noise * np.cumsum(random.normal(size=steps))
    losses = drawn.astype(np.float32).tolist()
    rates = [exponential(planned)(step) for step in range(steps)]
    ours = LearningRates(tuple(rates), tuple(losses), planned)
    used = slice(planned // 10, -5)
    their_rates = torch.tensor(rates[used], dtype=torch.float64)
    their_losses = torch.tensor(losses[used], dtype=torch.float64)
    suggested = {f.__name__: f(their_rates, their_losses, planned)[0] for f in READINGS}
    if suggested["valley"] == their_rates[-1]:  # see the next test
        suggested["valley"] = rates[planned // 10]
    assert {name: getattr(ours, name) for name in suggested} == pytest.approx(suggested, rel=1e-9)


def test_a_curve_that_falls_at_once_and_never_again() -> None:
    """fastai's index of the valley is -1 there, and gives the highest rate instead of the lowest."""
    rates, losses = [exponential()(step) for step in range(100)], [3.0] * 10 + [2.0, *np.linspace(1.0, 9.0, 89)]
    used = slice(10, -5)
    suggested, _ = fastai.valley(torch.tensor(rates[used]), torch.tensor(losses[used]), 100)
    assert suggested == pytest.approx(rates[94])
    assert LearningRates(tuple(rates), tuple(losses)).valley == rates[10]
