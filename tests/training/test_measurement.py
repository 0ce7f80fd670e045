"""Measured steps: each program twice or more, the shortest counts, nothing is learnt, and the time is bounded."""

from __future__ import annotations

import itertools

import jax
import numpy as np
import pytest
from tiny_runs import CLIPPED, classifier_task, language_model_task

from ulmfit_jax.training import measurement
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.measurement import Program, Timing, timed, timed_steps, timings_within


@pytest.mark.parametrize(
    ("seconds", "expected", "runs"),
    [
        ([9.0, 1.0, 0.5, 2.0], Timing(8.5, 0.5), 4),
        ([9.0, 4.0], Timing(5.0, 4.0), 2),
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


def test_the_parameters_serve_again_on_several_devices() -> None:
    task = classifier_task(2)
    parameters, statistics = task.definition.initialise(0)
    before = jax.tree.map(np.array, (parameters, statistics))
    timed_steps(task, CLIPPED, parameters, statistics, Devices(2), [next(iter(task.train_batches(0, 0)))])
    jax.tree.map(np.testing.assert_array_equal, (parameters, statistics), before)


@pytest.mark.parametrize(("seconds", "measured"), [(0.0, {"often"}), (14.0, {"often", "other", "heavy"})])
def test_programs_are_measured_while_there_is_time_and_judged_by_their_work_after_it(
    seconds: float, measured: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = {"now": 100.0}
    monkeypatch.setattr(measurement.time, "perf_counter", lambda: clock["now"])
    taken: list[str] = []

    def program(name: str, kind: str, trains: bool, work: float) -> Program:
        def run() -> Timing:
            taken.append(name)
            clock["now"] += 2.0
            return Timing(1.0, work / 100)

        return Program(kind, trains, work, run)

    programs = {
        "often": program("often", "a", True, 100),
        "heavy": program("heavy", "a", True, 300),
        "heaviest": program("heaviest", "a", True, 900),
        "scores": program("scores", "a", False, 50),
        "other": program("other", "b", False, 10),
    }
    runs = {"often": 5, "heavy": 2, "heaviest": 1, "scores": 1, "other": 1}
    timings, count = timings_within(programs, runs, seconds)
    assert set(taken) >= measured
    assert taken[:2] == ["often", "other"][: 1 if seconds == 0 else 2]  # one of each kind before a second of one
    assert "heaviest" not in taken  # it is expected to take too long
    assert count == len(taken)
    assert {name: timing.each for name, timing in timings.items()} == pytest.approx(
        {name: one.work / 100 for name, one in programs.items()}
    )
