"""One of several processes that train a tiny language model and a tiny classifier together.

    python process_driver.py FOLDER PROCESS PROCESSES PORT [--epochs 10] [--devices 4] [--kill PROCESS STEP]
        [--interrupt PROCESS STEP]

The processes share the CPU devices and talk over loopback. The first one writes `language_model.npz` and
`classifier.npz` with the final parameters and statistics. `--kill` sends SIGKILL to a process before a step of its
language model, `--interrupt` SIGTERM.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from pathlib import Path

KILL, INTERRUPT = signal.SIGKILL, signal.SIGTERM


def main() -> int:
    """Train; 3 and the message for an error of the library."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    for name in ("process", "processes", "port"):
        parser.add_argument(name, type=int)
    parser.add_argument("--epochs", type=int, default=10, help="of each run, the classifier's first with frozen layers")
    parser.add_argument("--devices", type=int, default=4, help="of all processes together")
    for name in ("--kill", "--interrupt"):
        parser.add_argument(name, type=int, nargs=2, default=(-1, -1))
    options = parser.parse_args()
    flags = re.sub(r"--xla_force_host_platform_device_count=\d+", "", os.environ.get("XLA_FLAGS", ""))
    count = options.devices // options.processes
    os.environ["XLA_FLAGS"] = f"{flags} --xla_force_host_platform_device_count={count}"
    sys.path.insert(0, str(Path(__file__).parents[1]))

    import jax

    jax.config.update("jax_platforms", "cpu")
    if options.processes > 1:
        jax.distributed.initialize(
            f"127.0.0.1:{options.port}", options.processes, options.process, heartbeat_timeout_seconds=12
        )
    from ulmfit_jax.errors import UlmfitError
    from ulmfit_jax.training.interruption import TrainingInterrupted

    try:
        train(options)
    except UlmfitError as error:
        print(error, file=sys.stderr)
        return 3
    except TrainingInterrupted as error:
        print(error, file=sys.stderr)
        return 143
    return 0


def train(options: argparse.Namespace) -> None:
    """Both runs."""
    import numpy as np
    from jax import lax
    from tiny_runs import LEARNABLE, classifier_task, language_model_task, run

    from ulmfit_jax.nn.classifier import DEVICE_AXIS
    from ulmfit_jax.nn.parameters import flatten
    from ulmfit_jax.training.loop_options import LoopOptions
    from ulmfit_jax.training.mapping import REPLICATED, Devices
    from ulmfit_jax.training.processes import is_first
    from ulmfit_jax.training.recipes import language_model_stages
    from ulmfit_jax.training.stages import Stage

    devices = options.devices if options.processes == 1 else None
    tasks = {
        "language_model": (
            language_model_task(devices, **LEARNABLE),
            language_model_stages(options.epochs, frozen_epochs=0),
        ),
        "classifier": (
            classifier_task(devices),
            [Stage("head", 1, 1e-2, -1), Stage("all layers", options.epochs - 1, (3e-4, 3e-3))],
        ),
    }
    for name, (task, stages) in tasks.items():
        if name == "language_model":
            task.train_batches = with_signals(task.train_batches, options)
        kept = LoopOptions(save_steps=16, keep_best=True)
        result = run(task, stages, folder=options.folder / name, options=kept, devices=devices)
        if name == "language_model":  # what a process asks for by itself
            total = Devices.alone().map(lambda rows: (lax.psum(rows.sum(), DEVICE_AXIS),), (0,), (REPLICATED,))
            assert total(np.ones((1, 3), np.float32)) == (3,)
        if is_first():
            arrays = flatten({"parameters": result.parameters, "statistics": result.statistics})
            np.savez(options.folder / f"{name}.npz", **arrays)


def with_signals(batches, options):
    """`train_batches` of a task, which sends this process its signal before a step."""
    sent = {KILL: options.kill, INTERRUPT: options.interrupt}
    steps = 0

    def around(epoch: int, start: int):
        nonlocal steps
        for batch in batches(epoch, start):
            for number, (process, step) in sent.items():
                if (process, step) == (options.process, steps):
                    os.kill(os.getpid(), number)
            steps += 1
            yield batch

    return around


if __name__ == "__main__":
    code = main()
    if code:  # as the command line ends: JAX would wait at the exit for processes that are gone
        sys.stderr.flush()
        os._exit(code)
