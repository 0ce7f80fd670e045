from __future__ import annotations

import dataclasses
import math
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulmfit_jax.errors import ConfigError
from ulmfit_jax.optim.schedules import (
    constant,
    exponential,
    flat_cosine,
    one_cycle,
    one_cycle_momentum,
    slanted_triangular,
)

# What fastai 2.8.12's `combined_cos` gives at t / N for a peak of 0.01; its positions are float32.
FASTAI_ONE_CYCLE = {
    37: {
        0: 0.0004,
        5: 0.005809685173351162,
        9: 0.009982707965605471,
        10: 0.009981987644297724,
        20: 0.00673227776348998,
        36: 3.210700371327098e-05,
        37: 1e-7,
    },
    40: {
        0: 0.0004,
        5: 0.0052,
        9: 0.00976507116711685,
        10: 0.01,
        20: 0.007500024864862766,
        39: 2.7490197058423205e-05,
        40: 1e-7,
    },
}
FASTAI_MOMENTUM = {
    37: {0: 0.8, 5: 0.743649112777592, 9: 0.7001801253582763, 20: 0.7326775491405916, 36: 0.799679926762135, 37: 0.8},
    40: {0: 0.8, 5: 0.75, 9: 0.7024471753425328, 10: 0.7, 20: 0.7250000013513859, 39: 0.7997260952903688, 40: 0.8},
}
FASTAI_FLAT_COSINE_37 = {0: 0.01, 27: 0.01, 28: 0.009981987485496984, 36: 0.00028570957937249647, 37: 1e-7}


@pytest.mark.parametrize("steps", [37, 40])
def test_one_cycle_is_fastais(steps: int) -> None:
    rate, momentum = one_cycle(steps, 0.01), one_cycle_momentum(steps)
    for t, value in FASTAI_ONE_CYCLE[steps].items():
        assert rate(t) == pytest.approx(value, rel=0, abs=2e-7 * 0.01)
    for t, value in FASTAI_MOMENTUM[steps].items():
        assert momentum(t) == pytest.approx(value, rel=0, abs=2e-8)


def test_flat_cosine_is_fastais() -> None:
    schedule = flat_cosine(37, 0.01)
    for t, value in FASTAI_FLAT_COSINE_37.items():
        assert schedule(t) == pytest.approx(value, rel=0, abs=2e-9)
    assert {schedule(t) for t in range(28)} == {0.01}


def test_one_cycle_in_closed_form_at_the_start_the_turn_and_the_end() -> None:
    schedule = one_cycle(1000, 0.02, div=5.0, div_final=1e4, pct_start=0.3)
    assert schedule(0) == 0.02 / 5
    assert schedule(150) == pytest.approx((0.02 / 5 + 0.02) / 2, rel=1e-12)
    assert schedule(300) == 0.02
    assert schedule(650) == pytest.approx((0.02 + 0.02 / 1e4) / 2, rel=1e-12)
    assert schedule(1000) == pytest.approx(0.02 / 1e4, rel=1e-9)


def test_one_cycle_is_optaxs_where_optax_does_not_truncate_the_turn() -> None:
    ours = one_cycle(1000, 0.01)
    theirs = optax.cosine_onecycle_schedule(1000, 0.01, pct_start=0.25, div_factor=25, final_div_factor=4000)
    with jax.numpy_dtype_promotion("standard"):  # Optax's own code is not strict
        values = jax.vmap(theirs)(jnp.arange(1000))
    np.testing.assert_allclose([ours(t) for t in range(1000)], values, rtol=0, atol=2e-7 * 0.01)


def test_momentum_mirrors_the_rate() -> None:
    rate, momentum = one_cycle(101, 1.0, div_final=25.0), one_cycle_momentum(101)
    for t in range(101):
        assert (momentum(t) - 0.7) / 0.1 == pytest.approx((1.0 - rate(t)) / (1.0 - 1 / 25), abs=1e-12)


@pytest.mark.parametrize("steps", [10, 40, 1000])
def test_slanted_triangle_in_closed_form(steps: int) -> None:
    schedule, cut = slanted_triangular(steps, 0.01), steps // 10
    assert schedule.cut == cut
    assert schedule(0) == pytest.approx(0.01 / 32, rel=1e-12)
    assert schedule(cut) == 0.01
    assert schedule(steps) == pytest.approx(0.01 / 32, rel=1e-9)
    optax_twin = optax.join_schedules(
        [optax.linear_schedule(0.01 / 32, 0.01, cut), optax.linear_schedule(0.01, 0.01 / 32, steps - cut)], [cut]
    )
    for t in np.linspace(0, steps - 1, 17, dtype=int):
        assert schedule(int(t)) == pytest.approx(float(optax_twin(t)), rel=1e-5)


@pytest.mark.parametrize(("steps", "cut"), [(37, 3), (109, 10), (1001, 100)])
def test_slanted_triangle_follows_equation_3_where_the_cut_is_rounded_down(steps: int, cut: int) -> None:
    schedule = slanted_triangular(steps, 0.01)
    assert schedule.cut == cut
    for t in range(steps + 1):
        p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / 0.1 - 1))
        assert schedule(t) == pytest.approx(0.01 * (1 + max(p, 0) * 31) / 32, rel=1e-12)


@given(st.integers(1, 400), st.floats(0.01, 0.99), st.floats(1.0, 100.0))
def test_slanted_triangle_stays_between_its_lowest_and_its_highest_value(
    steps: int, cut_fraction: float, ratio: float
) -> None:
    schedule = slanted_triangular(steps, 0.01, cut_fraction, ratio)
    values = [schedule(t) for t in range(steps + 1)]
    assert 1 <= schedule.cut <= steps
    assert 0.01 / ratio * (1 - 1e-9) <= min(values)
    assert max(values) <= 0.01 * (1 + 1e-9)
    assert values[schedule.cut] == pytest.approx(0.01)


def test_slanted_triangle_of_a_fit_too_short_for_the_fraction() -> None:
    schedule = slanted_triangular(5, 0.01)
    assert schedule.cut == 1
    assert [schedule(0), schedule(1)] == pytest.approx([0.01 / 32, 0.01])


def test_slanted_triangle_cut_is_not_lost_to_rounding() -> None:
    assert 100 * 0.29 < 29
    assert slanted_triangular(100, 0.01, cut_fraction=0.29).cut == 29


@given(st.integers(1, 300), st.floats(0.01, 0.99))
def test_one_cycle_rises_to_the_turn_and_falls_after_it(steps: int, pct_start: float) -> None:
    schedule = one_cycle(steps, 1.0, pct_start=pct_start)
    values = [schedule(t) for t in range(steps + 1)]
    turn = math.ceil(pct_start * steps)
    assert all(a <= b + 1e-12 for a, b in pairwise(values[:turn]))
    assert all(a >= b - 1e-12 for a, b in pairwise(values[turn:]))


def test_exponential_tries_lr_finds_rates() -> None:
    schedule = exponential()
    expected = {0: 1e-7, 1: 1.202264434617413e-07, 50: 0.001, 99: 8.317637711026709, 100: 10.0}
    assert {t: schedule(t) for t in expected} == pytest.approx(expected, rel=1e-12)


def test_steps_past_the_end_get_the_value_at_the_end() -> None:
    for schedule in (one_cycle(10, 1.0), slanted_triangular(10, 1.0), flat_cosine(10, 1.0), exponential(10)):
        assert schedule(11) == schedule(10)
    assert constant(0.9)(10**6) == 0.9


def test_schedules_print_compare_and_turn_into_plain_values() -> None:
    assert one_cycle(10, 0.5) == one_cycle(10, 0.5) != one_cycle(11, 0.5)
    assert "total_steps=10, peak=0.5, cut_fraction=0.1, ratio=32.0" in repr(slanted_triangular(10, 0.5))
    assert dataclasses.asdict(constant(0.9)) == {"value": 0.9}


@pytest.mark.parametrize(
    "make",
    [
        lambda: one_cycle(0, 0.01),
        lambda: one_cycle(10, 0.01, pct_start=1.0),
        lambda: flat_cosine(10, 0.01, pct_start=0.0),
        lambda: slanted_triangular(0, 0.01),
        lambda: slanted_triangular(10, 0.01, cut_fraction=1.0),
        lambda: slanted_triangular(10, 0.01, ratio=0.5),
        lambda: exponential(10, start=0.0),
        lambda: exponential(0),
    ],
)
def test_impossible_schedules_are_refused(make: object) -> None:
    with pytest.raises(ConfigError, match=r"give|train for"):
        make()  # type: ignore[operator]
