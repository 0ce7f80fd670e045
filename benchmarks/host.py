"""Whether the host keeps the device waiting: training steps under a trace, and when the device was at work.

    python benchmarks/host.py --data-dir DATA                       # the preset `small`
    python benchmarks/host.py --data-dir DATA --preset ulmfit

Steps of the language model and of the classifier, all layers, as the training loop runs them: the next batch is
prepared while a step is under way. Of the time between the first step's begin and the last one's end, the trace gives
the part in which the device ran a program; the longest wait between two steps stands beside it. Figures:
benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.profiler import ProfileData, ProfileOptions

from data import BATCH_SIZE, BPTT, batches, stream
from ulmfit_jax.nn.architecture import PRESETS, preset
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.training.classifier import ClassifierTask
from ulmfit_jax.training.language_model import LanguageModelTask
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.stage_optimizer import StageOptimizer
from ulmfit_jax.training.stages import Stage
from ulmfit_jax.training.task import StepControls, TrainState

CPU_PROGRAM = "ThunkExecutor::Execute (wait for completion)"
"""What a CPU's trace calls the time in which a program runs."""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--preset", default="small", choices=sorted(PRESETS))
    parser.add_argument("--steps", type=int, default=8)
    return parser.parse_args()


def trained(task: Any, devices: Devices, steps: int) -> None:
    """Run steps, all but the first two under a trace, and report."""
    stage = Stage("all layers", 1, 1e-3)
    parameters, statistics = task.definition.initialise(0)
    optimizer = StageOptimizer(stage, parameters, task.groups)
    step = task.step(optimizer.transform, optimizer.trainable, devices)
    placed = (devices.replicate(tree) for tree in (parameters, statistics, optimizer.transform.init(parameters)))
    state, rates = TrainState(*placed, task.initial_carry()), np.full(len(task.groups), 1e-3, np.float32)
    source = itertools.chain.from_iterable(task.train_batches(epoch, 0) for epoch in itertools.count())

    def run(count: int) -> list[float]:
        nonlocal state
        pending, preparing = None, []
        for number in range(count):
            began = time.perf_counter()
            batch = next(source)
            preparing.append(time.perf_counter() - began)
            controls = StepControls(jnp.uint32(0), jnp.uint32(number), jnp.asarray(rates), jnp.float32(0.8))
            state, result = step(state, batch, controls)
            if pending is not None:
                float(pending.loss)
            pending = result
        float(pending.loss if pending is not None else 0)
        return preparing

    run(2)
    options = ProfileOptions()
    options.python_tracer_level = 0
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder, profiler_options=options):
            preparing = run(steps)
        traced = next(Path(folder).rglob("*.xplane.pb"))
        intervals = sorted(programs(ProfileData.from_file(str(traced))))
    report(intervals, preparing)


def programs(trace: ProfileData) -> Iterator[tuple[float, float]]:
    """Begin and end, in seconds, of what the device ran."""
    for plane in trace.planes:
        for line in plane.lines:
            for event in line.events:
                if plane.name.startswith("/device:") or event.name == CPU_PROGRAM:
                    yield event.start_ns / 1e9, (event.start_ns + event.duration_ns) / 1e9


def report(intervals: list[tuple[float, float]], preparing: list[float]) -> None:
    """Print what the trace says."""
    first, until, busy, longest = intervals[0][0], intervals[0][0], 0.0, 0.0
    for began, ended in intervals:
        longest = max(longest, began - until)
        busy += max(ended - max(began, until), 0)
        until = max(until, ended)
    print(
        f"device at work {busy / (until - first):.2%} of {until - first:.2f} s, longest wait {1e3 * longest:.2f} ms; "
        f"a batch takes the host {1e3 * float(np.median(preparing)):.2f} ms",
        flush=True,
    )


def main() -> None:
    """Both tasks."""
    options, devices = arguments(), Devices(1)
    train, vocabulary = batches(options.data_dir, (options.steps + 1) * BATCH_SIZE)
    sizes = preset(options.preset, vocabulary)
    source = stream(vocabulary, options.steps)
    print(f"language model, {BATCH_SIZE} x {BPTT}: ", end="")
    trained(LanguageModelTask(sizes, source, None, devices), devices, options.steps)
    print(f"classifier, {BATCH_SIZE} reviews: ", end="")
    trained(ClassifierTask(sizes, Head(2), train, None, devices), devices, options.steps)


if __name__ == "__main__":
    main()
