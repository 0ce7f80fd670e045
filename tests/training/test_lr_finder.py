from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_task import START, ScriptedTask
from tiny_runs import classifier_task

from ulmfit_jax.errors import TrainingError
from ulmfit_jax.training.lr_finder import LearningRates, find_learning_rate
from ulmfit_jax.training.mapping import Devices

RATES = tuple(1e-7 * 1e8 ** (i / 100) for i in range(100))


def longest_descent(losses: Sequence[float]) -> tuple[int, int]:
    """fastai's `valley` in plain Python: the end of the longest falling subsequence, and its length."""
    lengths = [1] * len(losses)
    end = 0
    for i in range(len(losses)):
        for j in range(i):
            if losses[i] < losses[j] and lengths[i] < lengths[j] + 1:
                lengths[i] = lengths[j] + 1
            if lengths[end] < lengths[i]:
                end = i
    return end, lengths[end]


def slid(rates: Sequence[float], losses: Sequence[float]) -> float:
    """fastai's `slide` in plain Python: an interval of 15 steps from the end on, until the loss falls alike at both."""
    slopes = np.gradient(losses)
    low, high = len(losses) - 16, len(losses) - 1
    rate = rates[low]
    while low >= 0 and abs(slopes[high] - slopes[low]) > 0.005:
        rate = rates[low]
        low, high = low - 1, high - 1
    return rate


@settings(max_examples=25)
@given(
    losses=st.lists(st.floats(0.125, 9), min_size=100, max_size=100)
    | st.lists(st.just(1.0) | st.floats(1, 1.02), min_size=100, max_size=100)
)
def test_readings_are_those_of_plain_loops(losses: list[float]) -> None:
    curve, rates, used = LearningRates(RATES, tuple(losses)), RATES[10:95], losses[10:95]
    end, length = longest_descent(used)
    assert curve.valley == rates[max(end - length + int(length / 3) + int(length / 6), 0)]
    assert curve.minimum == pytest.approx(rates[used.index(min(used))] / 10)
    slopes = [(b - a) / np.log(s / r) for a, b, r, s in zip(used, used[1:], rates, rates[1:], strict=False)]
    # Of slopes that are equal but for their rounding, either may be the steepest.
    assert slopes[int(np.argmin(np.abs(np.log(rates) - np.log(curve.steep))))] == pytest.approx(min(slopes), abs=1e-12)
    assert curve.slide == slid(rates, used)
    assert curve.readings() == {name: getattr(curve, name) for name in ("valley", "steep", "minimum", "slide")}


def test_a_short_curve_has_no_slide() -> None:
    assert list(LearningRates(RATES[:30], tuple(3.0 - 0.01 * i for i in range(30))).readings()) == [
        "valley",
        "steep",
        "minimum",
    ]
    assert "slide" in LearningRates(RATES[:31], tuple(3.0 - 0.01 * i for i in range(31))).readings()


def test_the_readings_of_a_curve_with_a_known_valley() -> None:
    rates = np.logspace(-7, 1, 100)
    falling = np.linspace(7, 3, 70)
    curve = LearningRates(tuple(rates), (*falling, *np.linspace(3.1, 9, 30)))
    assert curve.minimum == pytest.approx(rates[69] / 10)
    # The longest falling stretch of the curve from step 10 on ends at step 69 and has 60 points.
    assert curve.valley == pytest.approx(rates[10 + (59 - 60) + 20 + 10])
    assert rates[10] <= curve.steep <= rates[69]


def test_readings_of_a_curve_that_falls_and_explodes() -> None:
    steps = np.arange(100)
    losses = 3 - 2 / (1 + np.exp(-(steps - 50) / 4)) + np.exp((steps - 85) / 2)
    curve = LearningRates(RATES, tuple(losses))
    assert RATES[48] <= curve.steep <= RATES[51]
    assert RATES[30] < curve.valley < RATES[60]
    assert RATES[65] / 10 < curve.minimum < RATES[80] / 10


def test_everything_from_the_first_bad_number_on_is_left_out() -> None:
    losses = [3.0 - 0.02 * i for i in range(60)] + [float("nan")] + [0.0] * 39
    curve = LearningRates(RATES, tuple(losses))
    assert curve.minimum == pytest.approx(RATES[59] / 10)
    with pytest.raises(TrainingError, match="the loss was good for 5 steps only"):
        _ = LearningRates(RATES, (1.0,) * 5 + (np.nan,) * 95).valley


def test_the_rates_are_fastai_s_and_the_losses_an_exponential_mean() -> None:
    given_losses = np.linspace(3, 1, 100)
    task = ScriptedTask(bad_steps={i: (loss, 1.0) for i, loss in enumerate(given_losses)})
    curve = find_learning_rate(task, START, {}, Devices(1))
    np.testing.assert_allclose(curve.rates, RATES, rtol=1e-9)
    for i in (0, 1, 50, 99):
        weights = 0.98 ** np.arange(i + 1)[::-1]
        assert curve.losses[i] == pytest.approx((weights * given_losses[: i + 1]).sum() / weights.sum(), rel=1e-5)


@pytest.mark.parametrize("bad", [float("nan"), 1e4])
def test_the_run_ends_where_the_loss_explodes(bad: float) -> None:
    task = ScriptedTask(bad_steps={i: (bad if i == 30 else 1.0, 1.0) for i in range(100)})
    assert len(find_learning_rate(task, START, {}, Devices(1)).losses) == 31


@pytest.mark.slow
def test_what_it_starts_from_is_put_back() -> None:
    task = classifier_task()
    parameters, statistics = task.definition.initialise(0)
    before = jax.tree.map(np.array, (parameters, statistics))
    curve = find_learning_rate(task, parameters, statistics, Devices(1), steps=12, start=1e-3)
    assert len(set(curve.losses)) == len(curve.losses) > 3
    jax.tree.map(np.testing.assert_array_equal, (parameters, statistics), before)
    assert isinstance(parameters["encoder"]["embedding"], jnp.ndarray)
