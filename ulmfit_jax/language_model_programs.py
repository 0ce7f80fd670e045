"""The programs of a language model's training, to be measured: how often each runs, and how to time it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from functools import cached_property, partial
from typing import Any

from ulmfit_jax.data.stream import LanguageModelStream
from ulmfit_jax.language_model_plan import LanguageModelPlan
from ulmfit_jax.nn.parameters import Tree
from ulmfit_jax.training.language_model import document_ends, evaluation_step, nowhere, zero_carry
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.measurement import Program, Timing, timed, timed_steps
from ulmfit_jax.training.runs import validation_stream
from ulmfit_jax.training.stages import Stage
from ulmfit_jax.training_estimate import Planned, PlannedStage, forward_products, layer_products, repeated, stage_row


def plan_language_model(planned: Planned, plan: LanguageModelPlan, devices: Devices) -> None:
    """Add the stages and programs of a language model's training."""
    programs = _LanguageModelPrograms(plan, devices)
    for stage in plan.stages:
        runs = Counter(programs.training_epoch(planned, stage))
        runs.update(programs.evaluation(planned))
        planned.stages.append(
            PlannedStage(stage_row("language_model", stage, programs.steps), repeated(runs, stage.epochs))
        )


class _LanguageModelPrograms:
    """The programs of a language model: steps of full batches and of the last, shorter one, in training and not."""

    def __init__(self, plan: LanguageModelPlan, devices: Devices):
        self._plan, self._devices, self._task = plan, devices, plan.task(devices)
        settings = plan.settings
        self._train = LanguageModelStream(plan.train, settings.batch_size, settings.bptt, settings.backwards)
        self._valid = validation_stream(plan.valid, settings, len(devices))

    @property
    def steps(self) -> int:
        return self._train.batches_per_epoch

    @cached_property
    def _parameters(self) -> Tree:
        return self._plan.start.parameters or self._task.definition.initialise(self._plan.seed)[0]

    def training_epoch(self, planned: Planned, stage: Stage) -> dict[Hashable, int]:
        sizes = self._plan.start.architecture
        softmax = sizes.embedding_size * sizes.vocabulary_size
        each = sum(layer_products(sizes, self._task.groups, stage)) + 3 * softmax
        runs: dict[Hashable, int] = {}
        for time, number, count in _lengths(self._train):
            key = ("language model", stage.freeze_to, time)
            run = partial(self._time_step, stage, number)
            planned.programs[key] = Program("language model", True, each * time * self._train.batch_size, run)
            runs[key] = count
        return runs

    def evaluation(self, planned: Planned) -> dict[Hashable, int]:
        """The measuring after an epoch."""
        if self._valid is None:
            return {}
        sizes = self._plan.start.architecture
        each = sum(forward_products(sizes)) + sizes.embedding_size * sizes.vocabulary_size
        runs: dict[Hashable, int] = {}
        for time, number, count in _lengths(self._valid):
            key = ("language model", None, time)
            run = partial(self._time_evaluation, self._valid, number)
            planned.programs[key] = Program("language model", False, each * time * self._valid.batch_size, run)
            runs[key] = count
        return runs

    def _time_step(self, stage: Stage, number: int) -> Timing:
        batch = next(iter(self._task.train_batches(0, number)))
        return timed_steps(self._task, stage, self._parameters, {}, self._devices, [batch])[0]

    def _time_evaluation(self, stream: LanguageModelStream, number: int) -> Timing:
        start, devices = self._plan.start, self._devices
        ends = document_ends(start.backwards) if self._plan.settings.reset_state else nowhere
        step = evaluation_step(self._task.definition, devices, ends)
        inputs, targets = (devices.split_rows(array, 1) for array in next(stream.epoch(0, number)))

        def run() -> Any:
            # The step takes the state's buffers: each run gets new ones.
            carry = zero_carry(start.architecture, stream.batch_size, devices)
            return step(self._parameters, inputs, targets, carry)[0]

        return timed(run)


def _lengths(stream: LanguageModelStream) -> list[tuple[int, int, int]]:
    """For each length in time that batches of a stream have: the length, the number of such a batch, and how many."""
    count = stream.batches_per_epoch
    last = stream.row_length - (count - 1) * stream.bptt
    if last == stream.bptt:
        return [(last, 0, count)]
    return [(stream.bptt, 0, count - 1), (last, count - 1, 1)] if count > 1 else [(last, 0, 1)]
