"""The training loop: stages, epochs, steps; the same for language models and classifiers, resumable at any step."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ulmfit_jax.counted import counted
from ulmfit_jax.errors import TrainingError
from ulmfit_jax.nn.parameters import Tree, to_numpy
from ulmfit_jax.optim.groups import discriminative_rates
from ulmfit_jax.training.loop_options import LoopOptions, TrainResult, kept_row
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.processes import check_same_everywhere, is_first, lost_processes_named
from ulmfit_jax.training.progress import Progress, SilentProgress
from ulmfit_jax.training.run_folder import Position, RunFolder, restore_state
from ulmfit_jax.training.saving import Saving
from ulmfit_jax.training.stage_optimizer import StageOptimizer
from ulmfit_jax.training.stages import Stage
from ulmfit_jax.training.task import StepControls, StepResult, Task, TrainState

SMOOTHING = 0.98
"""Weight of the past in the training loss of the table: fastai's `AvgSmoothLoss`."""


class Loop:
    """Runs the stages of a recipe over a task."""

    def __init__(
        self,
        task: Task,
        stages: Sequence[Stage],
        devices: Devices,
        *,
        seed: int,
        folder: RunFolder | None = None,
        options: LoopOptions = LoopOptions(),  # noqa: B008 - frozen
        progress: Progress | None = None,
    ):
        """Prepare a run; nothing is computed yet.

        Args:
            task: network and data.
            stages: the fits, in order; the optimiser starts afresh in each, as fastai's does after `freeze_to`.
            devices: devices to run on.
            seed: decides dropout and the order of the data.
            folder: where states are saved and found again; None keeps nothing.
            options: see `LoopOptions`.
            progress: is told what happens.
        """
        self._task, self._stages, self._devices = task, list(stages), devices
        self._seed, self._folder, self._options = seed, folder, options
        self._progress = progress if progress is not None and is_first() else SilentProgress()
        self._position = Position()
        self._best: Tree | None = None
        self._saving = Saving(options, folder is not None)

    def run(self, parameters: Tree, statistics: Tree) -> TrainResult:
        """Train from these parameters, or go on from the folder's newest state.

        Raises:
            TrainingError: a loss or a gradient was not finite, or another process of the run has ended.
            ConfigError: the processes of the run start from different parameters.
            TrainingInterrupted: SIGINT or SIGTERM came; with a folder, the state of that moment is saved there.
        """
        with lost_processes_named():
            check_same_everywhere(parameters)
            try:
                return self._run(parameters, statistics)
            finally:
                if self._folder:
                    self._folder.close()

    def _run(self, parameters: Tree, statistics: Tree) -> TrainResult:
        snapshot = self._folder.load(self._progress.message) if self._folder else None
        state = TrainState(self._devices.replicate(parameters), self._devices.replicate(statistics), None, ())
        if self._folder and snapshot:
            self._position, self._best = snapshot.position, snapshot.arrays.get("best")
            self._folder.write_metrics(self._position.history)  # killed between a save and this, the run lacks a row
            is_done = self._position.stage == len(self._stages)
            how = "already finished, at step" if is_done else "going on after step"
            self._progress.message(f"{self._part}{how} {self._position.step}")
        with self._saving.interruption:
            while self._position.stage < len(self._stages):
                state = self._run_stage(state, snapshot)
                snapshot = None
            self._saving.end_if_asked()
        return self._result(state, snapshot)

    @property
    def _part(self) -> str:
        """What a message begins with: which training of a run folder this is."""
        return f"{self._folder.path.name.replace('_', ' ')}: " if self._folder else ""

    def _result(self, state: TrainState, snapshot: Any) -> TrainResult:
        arrays: Tree = {"parameters": to_numpy(state.parameters), "statistics": to_numpy(state.statistics)}
        if snapshot:
            arrays = snapshot.arrays
        if self._options.keep_best and self._best:
            arrays = self._best
            row = kept_row(self._position.history, True)
            self._progress.message(
                f"{self._part}epoch {row['epoch']} of {row['stage']} is kept, which has the lowest valid loss, "
                f"{row['valid_loss']:.4f}"
            )
        return TrainResult(arrays["parameters"], arrays.get("statistics", {}), self._position.history)

    def _run_stage(self, state: TrainState, snapshot: Any) -> TrainState:
        position, task = self._position, self._task
        stage = self._stages[position.stage]
        optimizer = StageOptimizer(stage, state.parameters, task.groups)
        init = optimizer.transform.init
        template = state._replace(optimizer=jax.eval_shape(init, state.parameters), carry=task.initial_carry())
        if snapshot and (position.epoch or position.batch):
            state = restore_state(snapshot, template, self._devices)
        else:
            if snapshot:
                state = restore_state(snapshot, template._replace(optimizer=(), carry=()), self._devices)
            state = state._replace(optimizer=self._devices.replicate(init(state.parameters)))
        step = task.step(optimizer.transform, optimizer.trainable, self._devices, self._options.skip_nonfinite > 0)
        total_steps = stage.epochs * task.batches_per_epoch
        done = position.epoch * task.batches_per_epoch + position.batch
        self._progress.stage_started(stage, stage.peaks(len(task.groups)), task.columns, total_steps, done)
        task.prepare(state, partial(self._documents_read, state))
        while position.epoch < stage.epochs and not self._stops_early():
            state = self._run_epoch(stage, state, step, optimizer)
        if position.epoch < stage.epochs:
            self._progress.message(
                f"stage {stage.name} ended after {counted(position.epoch, 'epoch')}: no better valid_loss"
            )
        state = state._replace(parameters=optimizer.evaluated(state), optimizer=(), carry=())
        position.stage, position.epoch = position.stage + 1, 0
        position.smoothed, position.smoothed_steps = 0.0, 0
        position.stage_best, position.stale_epochs = None, 0
        self._save(state)
        return state

    def _documents_read(self, state: TrainState, done: int, total: int) -> None:
        """Documents are read before a stage's first batch: a signal need not wait for the last one."""
        self._progress.documents_read(done, total)
        if self._saving.is_asked():
            if not (self._position.epoch or self._position.batch):
                self._save(state._replace(optimizer=(), carry=()))
            self._saving.end_if_asked()

    def _run_epoch(self, stage: Stage, state: TrainState, step: Any, optimizer: StageOptimizer) -> TrainState:
        position, task = self._position, self._task
        total_steps = stage.epochs * task.batches_per_epoch
        if position.batch == 0:
            state = state._replace(carry=task.initial_carry())
        started = time.monotonic() - position.seconds
        shape, momentum = stage.shape(total_steps), stage.momentum(total_steps)
        peaks = np.array(discriminative_rates(stage.learning_rate, len(task.groups)))
        first_step = position.epoch * task.batches_per_epoch
        pending: StepResult | None = None
        for batch in task.train_batches(self._epoch_number(), position.batch):
            stage_step = first_step + position.batch
            controls = StepControls(
                jnp.uint32(self._seed),
                jnp.uint32(position.step),
                jnp.asarray(peaks * shape(stage_step), jnp.float32),
                jnp.float32(momentum(stage_step)),
            )
            state, result = step(state, batch, controls)
            position.batch += 1
            position.step += 1
            if pending is not None:
                self._account(pending, stage_step)
            pending = result
            if self._saving.is_due(position.step):
                self._account(pending, stage_step + 1)
                pending = None
                position.seconds = time.monotonic() - started
                self._save(state)
                self._saving.end_if_asked()
        if pending is not None:
            self._account(pending, first_step + position.batch)
        return self._finish_epoch(stage, state, optimizer, started)

    def _finish_epoch(self, stage: Stage, state: TrainState, optimizer: StageOptimizer, started: float) -> TrainState:
        position = self._position
        parameters = optimizer.evaluated(state)
        measures = self._task.evaluate(parameters, state.statistics)
        row = {
            "stage": stage.name,
            "epoch": position.epoch,
            "train_loss": self._train_loss(),
            **measures,
            "seconds": round(time.monotonic() - started, 3),
            "step": position.step,
        }
        position.history.append(row)
        position.epoch, position.batch, position.seconds = position.epoch + 1, 0, 0.0
        loss = measures.get("valid_loss")
        if loss is not None:
            self._compare(loss, parameters, state.statistics)
        state = optimizer.after_epoch(state, [row["valid_loss"] for row in self._stage_rows() if "valid_loss" in row])
        self._save(state)
        if self._folder:
            self._folder.write_metrics(position.history)
        self._progress.epoch_done(row)
        self._saving.end_if_asked()
        return state

    def _compare(self, loss: float, parameters: Tree, statistics: Tree) -> None:
        """Compare an epoch's `valid_loss` with those of the run, whose best is kept, and of the stage, which may end
        where it gets no better."""
        position = self._position
        if math.isnan(loss):  # no loss is lower than that
            loss = math.inf
        if position.best is None or loss < position.best:
            position.best = loss
            if self._options.keep_best:
                arrays = {"parameters": to_numpy(parameters), "statistics": to_numpy(statistics)}
                self._best = {name: tree for name, tree in arrays.items() if tree}
        if position.stage_best is None or loss < position.stage_best:
            position.stage_best, position.stale_epochs = loss, 0
        else:
            position.stale_epochs += 1

    def _stage_rows(self) -> list[dict[str, Any]]:
        """The rows of the current stage's finished epochs."""
        return self._position.history[-self._position.epoch :]

    def _account(self, result: StepResult, done_steps: int) -> None:
        """Take a step's loss into the smoothed one; it was dispatched before the newest step, so nothing waits.

        A gradient that is not finite has spoilt the parameters already, though the loss shows it only a step later.
        """
        position, loss, norm = self._position, float(result.loss), float(result.gradient_norm)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            found = f"the norm of the gradients is {norm}" if math.isfinite(loss) else f"the training loss is {loss}"
            return self._skip_or_end(f"{found} at step {done_steps} {self._stage_and_rate(done_steps - 1)}")
        position.smoothed = SMOOTHING * position.smoothed + (1 - SMOOTHING) * loss
        position.smoothed_steps += 1
        self._progress.step_done(done_steps, self._train_loss())

    def _skip_or_end(self, found: str) -> None:
        """A step that is not finite: the guarded step has left the state as it was, if any may be skipped."""
        position, allowed = self._position, self._options.skip_nonfinite
        if position.skipped < allowed:
            position.skipped += 1
            self._progress.message(f"{found}: skipped, {position.skipped} of at most {allowed}")
            return
        already = f" after {position.skipped} skipped ones" if position.skipped else ""
        where = f"; the last good state is in {self._folder.path}" if self._folder else ""
        raise TrainingError(f"{found}{already}: lower the learning rate or clip gradients{where}")

    def _stage_and_rate(self, stage_step: int) -> str:
        stage = self._stages[self._position.stage]
        peak = max(discriminative_rates(stage.learning_rate, len(self._task.groups)))
        rate = peak * stage.shape(stage.epochs * self._task.batches_per_epoch)(stage_step)
        return f"of stage {stage.name} with the learning rate {rate:.3g}"

    def _train_loss(self) -> float:
        """The smoothed training loss without the bias of its start at 0; NaN before the first step."""
        if not self._position.smoothed_steps:
            return math.nan
        return self._position.smoothed / (1 - SMOOTHING**self._position.smoothed_steps)

    def _epoch_number(self) -> int:
        """Number of the epoch in the whole run: another order of the data in every epoch of every stage."""
        return sum(stage.epochs for stage in self._stages[: self._position.stage]) + self._position.epoch

    def _stops_early(self) -> bool:
        return self._options.patience is not None and self._position.stale_epochs >= self._options.patience

    def _save(self, state: TrainState) -> None:
        if self._folder is not None:
            self._position.saves += 1
            self._folder.save(state._replace(carry=self._devices.gather(state.carry)), self._position, self._best)
            self._saving.done()
