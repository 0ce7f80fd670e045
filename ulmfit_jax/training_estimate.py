"""How long the stages of a plan will take here: some real steps of each kind of program, and how many there will be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

from ulmfit_jax.classifier_plan import ClassifierPlan
from ulmfit_jax.data.batches import DocumentBatches
from ulmfit_jax.data.lanes import DocumentLanes
from ulmfit_jax.language_model_plan import LanguageModelPlan
from ulmfit_jax.nn.parameters import Tree
from ulmfit_jax.training.language_model import (
    LanguageModelTask,
    document_ends,
    evaluation_step,
    nowhere,
    zero_carry,
)
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.measurement import Timing, timed, timed_steps
from ulmfit_jax.training.runs import document_batches, validation_stream
from ulmfit_jax.training.stages import Stage


def language_model_estimate(plan: LanguageModelPlan, devices: Devices) -> list[dict[str, Any]]:
    """Rows of `stage_row` for the stages of a language model's plan."""
    task = plan.task(devices)
    parameters = plan.start.parameters or task.definition.initialise(plan.seed)[0]
    measuring = _language_model_evaluation(plan, task, parameters, devices)
    count = task.batches_per_epoch
    batches = [next(iter(task.train_batches(0, number))) for number in sorted({0, count - 1})]
    rows = []
    for stage in plan.stages:
        epoch = _epoch(timed_steps(task, stage, parameters, {}, devices, batches), count)
        seconds = stage.epochs * (epoch.each + measuring.each)
        rows.append(stage_row(stage, count, seconds, epoch.compiling + measuring.compiling))
        measuring = Timing(0.0, measuring.each)  # compiled by now
    return rows


def _language_model_evaluation(
    plan: LanguageModelPlan, task: LanguageModelTask, parameters: Tree, devices: Devices
) -> Timing:
    """The measuring after an epoch."""
    stream = validation_stream(plan.valid, plan.settings, len(devices))
    if stream is None:
        return Timing(0.0, 0.0)
    ends = document_ends(plan.start.backwards) if plan.settings.reset_state else nowhere
    step = evaluation_step(task.definition, devices, ends)

    def run(inputs: np.ndarray, targets: np.ndarray) -> Any:
        # The step takes the state's buffers: each run gets new ones.
        carry = zero_carry(plan.start.architecture, stream.batch_size, devices)
        return step(parameters, devices.split_rows(inputs, 1), devices.split_rows(targets, 1), carry)[0]

    count = stream.batches_per_epoch
    batches = [next(stream.epoch(0, number)) for number in sorted({0, count - 1})]
    return _epoch([timed(partial(run, *batch)) for batch in batches], count)


def _epoch(timings: Sequence[Timing], count: int) -> Timing:
    """An epoch of a stream of `count` batches from its first and its last one, which is shorter."""
    each = timings[0].each * (count - 1) + timings[-1].each
    return Timing(sum(timing.compiling for timing in timings), each)


class ClassifierTimes:
    """Measures a classifier's programs, each stage and each bucket of document lengths once."""

    def __init__(self, plan: ClassifierPlan, devices: Devices):
        """Nothing is measured yet."""
        self._plan, self._devices, self._task = plan, devices, plan.task(devices)
        parameters, self._statistics = self._task.definition.initialise(plan.seed)
        self._parameters = {**parameters, **plan.branches}
        self._train = document_batches(plan.train, plan.settings, plan.seed)
        self._valid = document_batches(plan.valid, plan.settings, plan.seed) if plan.valid is not None else None
        self._steps: dict[int, dict[int, Timing]] = {}
        self._scores: dict[int, Timing] = {}

    @property
    def parameter_count(self) -> int:
        """Trained numbers, the head's included."""
        return sum(np.size(leaf) for leaf in jax.tree.leaves(self._parameters))

    def rows(self) -> list[dict[str, Any]]:
        """Rows of `stage_row` for the stages of the plan."""
        return [self._row(stage) for stage in self._plan.stages]

    def training_seconds(self, stage: Stage) -> tuple[float, float]:
        """Seconds of an epoch of `stage` over the training documents, and of compiling its programs."""
        if stage.freeze_to not in self._steps:
            chosen = _typical(self._train, self._train.chunks_of_training())
            batches = [next(self._task.train_batches(0, number)) for number in chosen.values()]
            steps = timed_steps(self._task, stage, self._parameters, self._statistics, self._devices, batches)
            self._steps[stage.freeze_to] = dict(zip(chosen, steps, strict=True))
        timings = self._steps[stage.freeze_to]
        seconds = sum(timings[self._train.bucket(chunks)].each for chunks in self._train.chunks_of_training())
        return seconds, sum(timing.compiling for timing in timings.values())

    def scoring_seconds(self, documents: DocumentBatches | None) -> tuple[float, float]:
        """Seconds of one pass over documents without training, and of compiling what had not been compiled before."""
        if documents is None:
            return 0.0, 0.0
        lanes, compiling = self._task.scoring.lanes(documents.corpus), 0.0
        if lanes.lanes not in self._scores:
            self._scores[lanes.lanes] = self._time_scoring(lanes)
            compiling = self._scores[lanes.lanes].compiling
        return lanes.blocks * self._scores[lanes.lanes].each, compiling

    def scoring_rate(self) -> float:
        """Seconds for a token of a document, without training."""
        return self.scoring_seconds(self._train)[0] / max(self._plan.train[0].n_tokens, 1)

    def _row(self, stage: Stage) -> dict[str, Any]:
        measuring, compiling = self.scoring_seconds(self._valid)
        if self._plan.settings.cache_frozen and stage.freeze_to == -1:
            # The encoder reads every document once; steps on the vectors take next to nothing.
            vectors, compiling_vectors = self.scoring_seconds(self._train)
            return stage_row(stage, self._steps_of_epoch, vectors + measuring, compiling + compiling_vectors)
        training, compiling_steps = self.training_seconds(stage)
        seconds = stage.epochs * (training + measuring)
        return stage_row(stage, self._steps_of_epoch, seconds, compiling + compiling_steps)

    @property
    def _steps_of_epoch(self) -> int:
        return self._train.batches_per_epoch

    def _time_scoring(self, lanes: DocumentLanes) -> Timing:
        scoring, block = self._task.scoring, next(iter(lanes))

        def run() -> Any:
            # The program takes the carry's buffers: each run gets new ones.
            carry = scoring.initial_carry(lanes)
            return scoring.encode(self._parameters, self._statistics, scoring.split(block), carry)[0]

        return timed(run)


def _typical(documents: DocumentBatches, chunks: Sequence[int]) -> dict[int, int]:
    """For each bucket that occurs the number of the batch whose chunks are nearest to the bucket's mean."""
    by_bucket: dict[int, list[int]] = defaultdict(list)
    for number, count in enumerate(chunks):
        by_bucket[documents.bucket(count)].append(number)
    typical = {}
    for bucket, numbers in sorted(by_bucket.items()):
        mean = float(np.mean([chunks[number] for number in numbers]))
        typical[bucket] = min(numbers, key=lambda number: abs(chunks[number] - mean))
    return typical


def stage_row(stage: Stage, steps_of_epoch: int, seconds: float, compiling: float) -> dict[str, Any]:
    """A stage of a plan as plain values: `name`, `epochs`, `steps`, `learning_rate`, `seconds` with `compiling`."""
    return {
        "name": stage.name,
        "epochs": stage.epochs,
        "steps": stage.epochs * steps_of_epoch,
        "learning_rate": stage.learning_rate,
        "seconds": round(seconds + compiling, 3),
        "compiling": round(compiling, 3),
    }
