"""How long steps take on this machine: some real steps of programs, on a copy of the parameters, in bounded time."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ulmfit_jax.nn.parameters import Tree
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.stage_optimizer import StageOptimizer
from ulmfit_jax.training.stages import Stage
from ulmfit_jax.training.task import Batch, StepControls, Task, TrainState

REPEATS, ENOUGH_SECONDS = 3, 2.0
"""A program runs so many times after its first time, or until so many seconds are over."""


@dataclass(frozen=True)
class Timing:
    """What a program takes.

    Attributes:
        compiling: seconds that its first run takes longer than the others, mostly for compilation.
        each: seconds of a run, the shortest one measured.
    """

    compiling: float
    each: float


def timed(run: Callable[[], Any]) -> Timing:
    """Time `run`, whose result is waited for."""
    seconds: list[float] = []
    while len(seconds) < 2 or (len(seconds) <= REPEATS and sum(seconds[1:]) < ENOUGH_SECONDS):
        started = time.perf_counter()
        jax.block_until_ready(run())
        seconds.append(time.perf_counter() - started)
    each = min(seconds[1:])
    return Timing(max(seconds[0] - each, 0.0), each)


def timed_steps(
    task: Task, stage: Stage, parameters: Tree, statistics: Tree, devices: Devices, batches: Sequence[Batch]
) -> list[Timing]:
    """Time the training step of a stage on some batches, in their order; the rates are 0, so nothing is learnt.

    Args:
        task: network and data.
        stage: decides the optimiser and the layers that train.
        parameters: what to start from; they are copied.
        statistics: running means of batch normalisation; copied too.
        devices: devices to run on.
        batches: as `task.train_batches` gives them.
    """
    # A step takes the buffers of its state: they may not be those of the caller's arrays.
    parameters, statistics = jax.tree.map(np.array, jax.device_get((parameters, statistics)))
    optimizer = StageOptimizer(stage, parameters, task.groups)
    step = task.step(optimizer.transform, optimizer.trainable, devices)
    state = TrainState(
        devices.replicate(parameters),
        devices.replicate(statistics),
        devices.replicate(optimizer.transform.init(parameters)),
        task.initial_carry(),
    )
    rates = jnp.zeros(len(task.groups), jnp.float32)
    controls = StepControls(jnp.uint32(0), jnp.uint32(0), rates, jnp.float32(stage.momentums[0]))

    def run(batch: Batch) -> Any:
        nonlocal state  # a step takes the state that the one before has made; its own is gone
        state, result = step(state, batch, controls)
        return result

    return [timed(lambda batch=batch: run(batch)) for batch in batches]  # type: ignore[misc]


@dataclass(frozen=True)
class Program:
    """A program of a training, to be timed here or judged by others of its kind.

    Attributes:
        kind: programs of one kind are alike: what one takes tells what another takes.
        trains: whether it is a training step; programs that only measure are alike among themselves.
        work: multiplications of a run, which its time grows with.
        time: runs it, and says how long that took.
    """

    kind: str
    trains: bool
    work: float
    time: Callable[[], Timing]


def timings_within(
    programs: Mapping[Hashable, Program], runs: Mapping[Hashable, float], seconds: float
) -> tuple[dict[Hashable, Timing], int]:
    """What programs take, most of them measured if that is possible in a given time, the others by their work.

    The training step that runs most is measured first, however long that takes, and that of each other kind, if there
    is any time left. Then follow the programs that weigh most in the whole, as long as they are expected to be done in
    time.

    Args:
        programs: by a key of their own.
        runs: how often each runs in the training.
        seconds: after which no measurement begins; of a second program of a kind, none that is expected to end later.

    Returns:
        The times of all programs, and how many of them were measured.
    """
    end = time.perf_counter() + seconds
    needed = _most_run(programs, runs)
    weight = {key: runs.get(key, 0.0) * program.work for key, program in programs.items()}
    measured: dict[Hashable, Timing] = {}
    for key in [*needed, *sorted(programs.keys() - set(needed), key=lambda key: -weight[key])]:
        left = end - time.perf_counter()
        expected = 0.0 if key in needed else _cost(_judged(programs[key], programs, measured))
        if not measured or expected < left:
            measured[key] = programs[key].time()
    judged = {key: _judged(program, programs, measured) for key, program in programs.items() if key not in measured}
    return {**judged, **measured}, len(measured)


def _most_run(programs: Mapping[Hashable, Program], runs: Mapping[Hashable, float]) -> list[Hashable]:
    """For each kind the key of the training step that runs most, of any program where none trains."""
    most: dict[str, Hashable] = {}
    for key, program in programs.items():
        best = most.setdefault(program.kind, key)
        if (program.trains, runs.get(key, 0.0)) > (programs[best].trains, runs.get(best, 0.0)):
            most[program.kind] = key
    return list(most.values())


def _judged(program: Program, programs: Mapping[Hashable, Program], measured: Mapping[Hashable, Timing]) -> Timing:
    """What a program takes by those measured that are most like it: as long to compile, and by its work."""
    others = [(programs[key], timing) for key, timing in measured.items()]
    same_kind = [(other, timing) for other, timing in others if other.kind == program.kind]
    alike = [(other, timing) for other, timing in same_kind if other.trains == program.trains]
    chosen = alike or same_kind or others
    rate = sum(timing.each for _, timing in chosen) / sum(other.work for other, _ in chosen)
    return Timing(sum(timing.compiling for _, timing in chosen) / len(chosen), program.work * rate)


def _cost(timing: Timing) -> float:
    """Seconds that `timed` takes for a program."""
    return timing.compiling + timing.each + min(REPEATS * timing.each, ENOUGH_SECONDS + timing.each)
