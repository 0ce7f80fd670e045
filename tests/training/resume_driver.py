"""Trains a tiny language model and a tiny classifier in run folders, and can kill itself on the way.

    python resume_driver.py FOLDER [TASK EVENT]

An event is the start of a stage, an accounted step or a finished epoch. At event number EVENT of the run of TASK
(`language_model` or `classifier`), counted from 0 in each process, the process sends itself SIGKILL as soon as there is
a state to go on from: no handler runs, and a later state that is being written stays a fragment. A run that gets to its
end writes `language_model.npz` and `classifier.npz` with the final parameters and statistics.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tiny_runs import LEARNABLE, classifier_task, language_model_task, run

from ulmfit_jax.nn.parameters import flatten
from ulmfit_jax.training.loop_options import LoopOptions, TrainResult
from ulmfit_jax.training.progress import SilentProgress
from ulmfit_jax.training.recipes import language_model_stages
from ulmfit_jax.training.stages import Stage

CLASSIFIER_STAGES = [Stage("head", 1, 2e-2, -1), Stage("all layers", 2, (1e-3, 1e-2))]
RUNS = {"language_model": "run-lm", "classifier": "run-cl"}
OPTIONS = LoopOptions(save_steps=4, keep_best=True)


class KillAt(SilentProgress):
    """Counts events, and kills the process at one of them."""

    def __init__(self, event: int | None, states: Path):
        self._event, self._states, self.events = event, states, 0

    def _happened(self, *_: Any) -> None:
        if self.events == self._event:
            while not any(path.name.isdecimal() for path in self._states.iterdir()):
                time.sleep(0.001)
            os.kill(os.getpid(), signal.SIGKILL)
        self.events += 1

    stage_started = step_done = epoch_done = _happened


def train(folder: Path, killed: str = "", event: int | None = None) -> dict[str, int]:
    """Both runs, each from its newest state; returns the number of events of each."""
    tasks: dict[str, tuple[Any, Sequence[Stage]]] = {
        "language_model": (language_model_task(**LEARNABLE), language_model_stages(epochs=2, frozen_epochs=1)),
        "classifier": (classifier_task(), CLASSIFIER_STAGES),
    }
    events = {}
    for name, (task, stages) in tasks.items():
        place = folder / RUNS[name]
        progress = KillAt(event if name == killed else None, place / "state")
        _write(folder / f"{name}.npz", run(task, stages, folder=place, options=OPTIONS, progress=progress))
        events[name] = progress.events
    return events


def _write(file: Path, result: TrainResult) -> None:
    np.savez(file, **flatten({"parameters": result.parameters, "statistics": result.statistics}))


if __name__ == "__main__":
    train(Path(sys.argv[1]), *([sys.argv[2], int(sys.argv[3])] if len(sys.argv) > 2 else []))
