"""Trains a tiny language model and a tiny classifier in run folders, and can kill itself on the way.

    python resume_driver.py FOLDER [TASK EVENT]

An event is the start of a stage, an accounted step or a finished epoch. At event number EVENT of the run of TASK
(`language_model` or `classifier`), counted from 0 in each process, the process sends itself SIGKILL: no handler runs,
and a state that is being written stays a fragment. A run that gets to its end writes `language_model.npz` and
`classifier.npz` with the final parameters and statistics.
"""

from __future__ import annotations

import os
import signal
import sys
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
OPTIONS = LoopOptions(save_steps=4, keep_best=True)


class KillAt(SilentProgress):
    """Counts events, and kills the process at one of them."""

    def __init__(self, event: int | None):
        self._event, self.events = event, 0

    def _happened(self, *_: Any) -> None:
        if self.events == self._event:
            os.kill(os.getpid(), signal.SIGKILL)
        self.events += 1

    stage_started = step_done = epoch_done = _happened


def train(folder: Path, killed: str = "", event: int | None = None) -> dict[str, int]:
    """Both runs, each from its newest state; returns the number of events of each."""
    progress = {name: KillAt(event if name == killed else None) for name in ("language_model", "classifier")}
    stages = language_model_stages(epochs=2, frozen_epochs=1)
    task, told = language_model_task(**LEARNABLE), progress["language_model"]
    _write(folder / "language_model.npz", run(task, stages, folder=folder / "run-lm", options=OPTIONS, progress=told))
    told = progress["classifier"]
    result = run(classifier_task(), CLASSIFIER_STAGES, folder=folder / "run-cl", options=OPTIONS, progress=told)
    _write(folder / "classifier.npz", result)
    return {name: counter.events for name, counter in progress.items()}


def _write(file: Path, result: TrainResult) -> None:
    np.savez(file, **flatten({"parameters": result.parameters, "statistics": result.statistics}))


if __name__ == "__main__":
    train(Path(sys.argv[1]), *([sys.argv[2], int(sys.argv[3])] if len(sys.argv) > 2 else []))
