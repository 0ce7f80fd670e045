"""Measured steps: each program twice or more, the shortest counts, and nothing is learnt."""

from __future__ import annotations

import itertools

import jax
import numpy as np
import pytest
from tiny_runs import CLIPPED, classifier_task, language_model_task

from ulmfit_jax.training import measurement
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.measurement import Timing, timed, timed_steps


@pytest.mark.parametrize(
    ("seconds", "expected", "runs"),
    [
        ([9.0, 1.0, 0.5, 2.0], Timing(8.5, 0.5), 4),
        ([9.0, 4.0, 3.0], Timing(6.0, 3.0), 3),
        ([1.0, 20.0], Timing(0.0, 20.0), 2),
    ],
)
def test_the_first_run_compiles_and_the_shortest_other_counts(
    seconds: list[float], expected: Timing, runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = itertools.accumulate(seconds, initial=0.0)
    clock = iter([time for pair in itertools.pairwise(ends) for time in pair])
    monkeypatch.setattr(measurement.time, "perf_counter", lambda: next(clock))
    calls: list[int] = []
    assert timed(lambda: calls.append(1)) == expected
    assert len(calls) == runs


@pytest.mark.parametrize("make", [language_model_task, classifier_task])
def test_real_steps_on_a_copy(make: object) -> None:
    task = make()  # type: ignore[operator]
    parameters, statistics = task.definition.initialise(0)
    before = jax.tree.map(np.array, (parameters, statistics))
    batches = [next(iter(task.train_batches(0, number))) for number in (0, 1)]
    timings = timed_steps(task, CLIPPED, parameters, statistics, Devices(1), batches)
    assert len(timings) == 2
    assert all(timing.each > 0 for timing in timings)
    assert timings[0].compiling > timings[1].compiling  # both have one shape
    jax.tree.map(np.testing.assert_array_equal, (parameters, statistics), before)
