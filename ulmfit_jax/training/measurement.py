"""How long steps take on this machine: some real steps of each program, on a copy of the parameters."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from ulmfit_jax.nn.parameters import Tree
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.stage_optimizer import StageOptimizer
from ulmfit_jax.training.stages import Stage
from ulmfit_jax.training.task import Batch, StepControls, Task, TrainState

REPEATS, ENOUGH_SECONDS = 3, 5.0
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
