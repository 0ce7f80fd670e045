"""The programs of a classifier's training, to be measured: how often each runs, and how to time it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from ulmfit_jax.classifier_plan import ClassifierPlan
from ulmfit_jax.data.batches import DocumentBatches
from ulmfit_jax.data.lanes import DocumentLanes
from ulmfit_jax.nn.parameters import Tree
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.measurement import Program, Timing, timed, timed_steps
from ulmfit_jax.training.recipes import self_training_stages
from ulmfit_jax.training.runs import document_batches
from ulmfit_jax.training.scaling import classifier_batch_size, unfreezing_epochs
from ulmfit_jax.training.stages import Stage
from ulmfit_jax.training_estimate import Planned, PlannedStage, forward_products, layer_products, repeated, stage_row


class ClassifierPrograms:
    """The stages of a classifier and its programs: one for each stage and shape of batches, and to score."""

    def __init__(self, planned: Planned, plan: ClassifierPlan, devices: Devices):
        """Nothing is measured yet; programs and stages go to `planned`."""
        self._planned, self._plan, self._devices, self._task = planned, plan, devices, plan.task(devices)
        self._train = document_batches(plan.train, plan.settings, plan.seed)
        self._valid = document_batches(plan.valid, plan.settings, plan.seed) if plan.valid is not None else None

    @property
    def parameter_count(self) -> int:
        """Trained numbers, the head's included."""
        return self._task.definition.parameter_count

    def add_stages(self, part: str = "classifier") -> None:
        """The stages of the plan, which are in that part of the run."""
        for stage in self._plan.stages:
            runs = Counter(self._scoring(self._valid))
            if self._plan.settings.cache_frozen and stage.freeze_to == -1:
                # The encoder reads every document once; steps on the vectors take next to nothing.
                runs.update(self._scoring(self._train))
                every = repeated(runs, 1)
            else:
                runs.update(self._training_epoch(stage))
                every = repeated(runs, stage.epochs)
            self._add(stage_row(part, stage, self._task.batches_per_epoch), every)

    def add_self_training(self, part: str, more: int, batch_size: int | None) -> None:
        """A round of self-training, called `part`: `more` texts are labelled, then all are trained on; each is taken to
        be as long as a labelled document. `batch_size` is the one that was chosen, None: by the number of texts."""
        documents = len(self._plan.train[1])
        total = documents + more
        batch_size = batch_size or self._devices.batch_of(classifier_batch_size(total))
        if self._plan.settings.linear_probe:
            runs = repeated(self._scoring(self._train), (more + total) / documents)
            return self._add(stage_row(part, self._plan.stages[0], 1), runs)
        stage = self_training_stages(unfreezing_epochs(total, batch_size)[0])[0]
        runs = self._labelling(more)
        runs |= repeated(self._training_epoch(stage), stage.epochs * total / documents)
        self._add(stage_row(part, stage, max(total // batch_size, 1)), runs)

    def add_co_training(self, more: int) -> None:
        """Answers on `more` texts for the n-grams to learn from, each taken to be as long as a labelled document."""
        row = {"part": "co_training", "name": "co-training", "epochs": None, "steps": None, "learning_rate": None}
        self._add(row, self._labelling(more))

    def add_test(self, tokens: int) -> None:
        """Answers on texts of so many tokens, which are taken to be as long as the labelled ones."""
        row = {"part": "test", "name": "test", "epochs": None, "steps": None, "learning_rate": None}
        self._add(row, repeated(self._scoring(self._train), tokens / max(self._plan.train[0].n_tokens, 1)))

    def _labelling(self, more: int) -> dict[Hashable, float]:
        """The programs that label `more` texts, and how often each runs."""
        return repeated(self._scoring(self._train), more / len(self._plan.train[1]))

    def _add(self, row: dict[str, Any], runs: Mapping[Hashable, float]) -> None:
        self._planned.stages.append(PlannedStage(row, runs))

    @cached_property
    def _start(self) -> tuple[Tree, Tree]:
        """Parameters and statistics."""
        parameters, statistics = self._task.definition.initialise(self._plan.seed)
        return {**parameters, **self._plan.branches}, statistics

    def _training_epoch(self, stage: Stage) -> dict[Hashable, int]:
        """The programs of an epoch, and how often each runs."""
        longest = self._train.longest_of_training()
        forward, backward = layer_products(self._plan.start.architecture, self._task.groups, stage)
        runs: dict[Hashable, int] = {}
        for shape, number, count in _typical(self._train, longest):
            key = ("classifier", stage.freeze_to, shape)
            tokens = self._train.computed(longest[number])
            work = forward * tokens + backward * min(tokens, self._plan.settings.max_length)
            run = partial(self._time_step, stage, number)
            self._planned.programs[key] = Program("classifier", True, work * self._train.batch_size, run)
            runs[key] = count
        return runs

    def _scoring(self, documents: DocumentBatches | None) -> dict[Hashable, int]:
        """The programs of one pass over documents without training, and how often each runs."""
        if documents is None:
            return {}
        lanes = self._task.scoring.lanes(documents.corpus)
        key = ("classifier", None, lanes.lanes)
        work = sum(forward_products(self._plan.start.architecture)) * lanes.bptt * lanes.lanes
        run = partial(self._time_scoring, lanes)
        self._planned.programs.setdefault(key, Program("classifier", False, work, run))
        return {key: lanes.blocks}

    def _time_step(self, stage: Stage, number: int) -> Timing:
        batch = next(self._task.train_batches(0, number))
        return timed_steps(self._task, stage, *self._start, self._devices, [batch])[0]

    def _time_scoring(self, lanes: DocumentLanes) -> Timing:
        scoring, block = self._task.scoring, next(iter(lanes))

        def run() -> Any:
            # The program takes the carry's buffers: each run gets new ones.
            return scoring.encode(*self._start, scoring.split(block), scoring.initial_carry(lanes))[0]

        return timed(run)


def _typical(documents: DocumentBatches, longest: Sequence[int]) -> list[tuple[tuple[int, int], int, int]]:
    """For each shape of batches that occurs: the shape, the number of the batch whose computed tokens are nearest to
    the mean of such batches, and how many there are."""
    by_shape: dict[tuple[int, int], list[int]] = defaultdict(list)
    for number, tokens in enumerate(longest):
        by_shape[documents.shape(tokens)].append(number)
    computed = [documents.computed(tokens) for tokens in longest]
    typical = []
    for shape, numbers in sorted(by_shape.items()):
        mean = float(np.mean([computed[number] for number in numbers]))
        nearest = min(numbers, key=lambda number: abs(computed[number] - mean))
        typical.append((shape, nearest, len(numbers)))
    return typical
