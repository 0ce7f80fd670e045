"""The same stages of training by this package's loop and by fastai's learner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from oracles.fastai.comparison import assert_close
from oracles.fastai.learners import Epochs, TorchBatch, learner
from oracles.fastai.reference import fastai, torch
from oracles.fastai.weights import parameters_of, statistics_of
from ulmfit_jax.nn.parameters import Tree
from ulmfit_jax.training.loop import Loop
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.stages import Stage


class Fit(NamedTuple):
    """What a training ends with, and the cross-entropy of each step."""

    parameters: Tree
    statistics: Tree
    losses: list[float]


class KeepLosses(fastai.Callback):
    """Keeps the loss of each training step, without the penalties."""

    def before_fit(self) -> None:
        self.losses: list[float] = []

    def before_step(self) -> None:
        self.losses.append(self.learn.loss.detach().item())


def our_fit(task: Any, stages: Sequence[Stage], start: tuple[Tree, Tree]) -> Fit:
    """Train `task` on one device."""
    losses: list[Any] = []
    make_step = task.step

    def recording_step(*arguments: Any) -> Callable[..., Any]:
        step = make_step(*arguments)

        def recorded(*inputs: Any) -> Any:
            state, result = step(*inputs)
            losses.append(result.loss)
            return state, result

        return recorded

    task.step = recording_step
    result = Loop(task, stages, Devices(1), seed=0).run(*start)
    return Fit(result.parameters, result.statistics, [float(loss) for loss in losses])


def fastai_fit(
    model: torch.nn.Module,
    epochs: Sequence[Sequence[TorchBatch]],
    stages: Sequence[Stage],
    splitter: Callable[..., Any],
) -> Fit:
    """Train `model` on the batches of `epochs`, one after the other through all stages, with AR and TAR."""
    made, losses = learner(model, Epochs(epochs), splitter=splitter), []
    for stage in stages:
        kept, rate = KeepLosses(), stage.learning_rate
        clipping = [] if stage.max_norm is None else [fastai.GradientClip(stage.max_norm)]
        made.freeze_to(stage.freeze_to)
        made.fit_one_cycle(
            stage.epochs,
            slice(*rate) if isinstance(rate, tuple) else rate,
            div=stage.div,
            pct_start=stage.pct_start,
            wd=stage.weight_decay,
            moms=stage.momentums,
            cbs=[kept, *clipping],
        )
        losses += kept.losses
    statistics = statistics_of(model) if hasattr(model[1], "layers") else {}
    return Fit(parameters_of(model), statistics, losses)


def assert_same_fit(ours: Fit, expected: Fit, tolerance: float = 2e-5) -> None:
    """Losses, parameters and running statistics are the same; see `assert_close`."""
    np.testing.assert_allclose(ours.losses, expected.losses, rtol=tolerance)
    assert_close(ours.parameters, expected.parameters, tolerance)
    assert_close(ours.statistics, expected.statistics, tolerance)
