"""Rates and momenta of every step of a fit, as fastai's learner sets them in its optimiser."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from oracles.fastai.reference import fastai, torch
from ulmfit_jax.optim.groups import discriminative_rates
from ulmfit_jax.optim.schedules import exponential, slanted_triangular
from ulmfit_jax.training.recipes import fine_tune_stages, gradual_unfreezing_stages
from ulmfit_jax.training.stages import Stage

GROUPS = 5
FITS = [(1, 1), (1, 2), (3, 1), (1, 37), (4, 25), (8, 125), (7, 143)]
"""Epochs and batches of an epoch: 1, 2, 3, 37, 100, 1000 and 1001 steps."""


class Scales(torch.nn.Module):
    """A network of one number for each layer group."""

    def __init__(self) -> None:
        super().__init__()
        self.scales = torch.nn.ParameterList(torch.ones(1) for _ in range(GROUPS))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs * sum(self.scales)


class KeepHypers(fastai.Callback):
    """Keeps what each step of each fit is taken with: rates `[steps, groups]`, momenta `[steps]`, what trains."""

    def __init__(self) -> None:
        self.fits: list[tuple[list[list[float]], list[float], list[list[bool]]]] = []

    def before_fit(self) -> None:
        self.fits.append(([], [], []))

    def before_step(self) -> None:
        rates, momenta, trained = self.fits[-1]
        rates.append([group["lr"] for group in self.opt.hypers])
        momenta.append(self.opt.hypers[-1]["mom"])
        trained.append([parameters[0].requires_grad for parameters in self.opt.param_lists])


def learner(batches: int, path: Path = Path()) -> fastai.Learner:
    data = [(torch.ones(1, 1), torch.zeros(1, 1))]
    made = fastai.Learner(
        fastai.DataLoaders(data * batches, data),
        Scales(),
        loss_func=torch.nn.functional.mse_loss,
        splitter=lambda model: [[scale] for scale in model.scales],
        moms=(0.8, 0.7, 0.8),  # those of fastai's text learners
        default_cbs=False,
        cbs=[fastai.TrainEvalCallback(), fastai.Recorder(add_time=False), KeepHypers()],
        path=path,
    )
    made.logger = lambda row: None
    return made


def assert_same_fits(learn: fastai.Learner, stages: Sequence[Stage], batches: int) -> None:
    """fastai's positions are float32; over a short part of a fit their rounding counts for more."""
    assert len(learn.keep_hypers.fits) == len(stages)
    for stage, (rates, momenta, trained) in zip(stages, learn.keep_hypers.fits, strict=True):
        steps = stage.epochs * batches
        peaks = np.array(discriminative_rates(stage.learning_rate, GROUPS))
        shape, momentum = stage.shape(steps), stage.momentum(steps)
        assert len(rates) == steps
        rounding = 2e-7 / min(stage.pct_start, 1 - stage.pct_start)
        ours = np.stack([peaks * shape(t) for t in range(steps)])
        np.testing.assert_allclose(ours / peaks, rates / peaks, rtol=0, atol=rounding)
        np.testing.assert_allclose([momentum(t) for t in range(steps)], momenta, rtol=0, atol=rounding / 5)
        assert trained == [[index >= stage.freeze_to % GROUPS for index in range(GROUPS)]] * steps


@pytest.mark.parametrize(("epochs", "batches"), FITS)
def test_one_cycle(epochs: int, batches: int) -> None:
    learn = learner(batches)
    learn.fit_one_cycle(epochs, slice(1e-4, 1e-2))
    assert_same_fits(learn, [Stage("fit", epochs, (1e-4, 1e-2))], batches)


@pytest.mark.parametrize(("epochs", "batches"), FITS[::3])
def test_one_cycle_of_other_shape(epochs: int, batches: int) -> None:
    learn = learner(batches)
    learn.fit_one_cycle(epochs, 0.02, div=7.0, pct_start=0.1, moms=(0.95, 0.85, 0.9))
    stage = Stage("fit", epochs, 0.02, div=7.0, pct_start=0.1, momentums=(0.95, 0.85, 0.9))
    assert_same_fits(learn, [stage], batches)


@pytest.mark.parametrize(("epochs", "batches"), FITS[::3])
def test_fine_tune(epochs: int, batches: int) -> None:
    learn = learner(batches)
    learn.fine_tune(epochs, 4e-3, freeze_epochs=2)
    assert_same_fits(learn, fine_tune_stages(epochs, 4e-3, frozen_epochs=2), batches)


def test_defaults_of_fine_tune() -> None:
    learn = learner(10)
    learn.fine_tune(3)
    assert_same_fits(learn, fine_tune_stages(3), 10)


@pytest.mark.parametrize("batches", [1, 10, 37])
def test_the_notebooks_gradual_unfreezing(batches: int) -> None:
    learn = learner(batches)
    learn.freeze()
    learn.fit_one_cycle(1, 2e-2)
    learn.freeze_to(-2)
    learn.fit_one_cycle(1, slice(1e-2 / 2.6**4, 1e-2))
    learn.freeze_to(-3)
    learn.fit_one_cycle(1, slice(5e-3 / 2.6**4, 5e-3))
    learn.unfreeze()
    learn.fit_one_cycle(2, slice(1e-3 / 2.6**4, 1e-3))
    assert_same_fits(learn, gradual_unfreezing_stages(), batches)


@pytest.mark.parametrize(("epochs", "batches"), FITS[::3])
def test_flat_cosine(epochs: int, batches: int) -> None:
    learn = learner(batches)
    learn.fit_flat_cos(epochs, slice(1e-3))
    (_, momenta, _) = learn.keep_hypers.fits[0]
    assert set(momenta) == {0.9}  # what a new optimiser of fastai has; ours keeps the stage's first momentum
    assert Stage("fit", epochs, 1e-3, schedule="flat_cosine").momentum(10)(5) == 0.8
    stage = Stage("fit", epochs, (None, 1e-3), schedule="flat_cosine", momentums=(0.9, 0.9, 0.9))
    assert_same_fits(learn, [stage], batches)


@pytest.mark.parametrize("steps", [10, 100, 1000])
def test_slanted_triangle_is_two_of_fastais_lines(steps: int) -> None:
    lines = [fastai.SchedLin(0.01 / 32, 0.01), fastai.SchedLin(0.01, 0.01 / 32)]
    theirs, ours = fastai.combine_scheds([0.1, 0.9], lines), slanted_triangular(steps, 0.01)
    np.testing.assert_allclose(
        [ours(t) for t in range(steps)], [theirs(t / steps) for t in range(steps)], rtol=0, atol=2e-8
    )


@pytest.mark.parametrize("steps", [10, 37, 100, 1000, 1001])
def test_slanted_triangle_of_the_papers_third_equation(steps: int) -> None:
    cut = math.floor(steps * 0.1)
    schedule = slanted_triangular(steps, 0.01)
    for t in range(steps):
        p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / 0.1 - 1))
        if p >= 0:  # where the cut is rounded down, the paper's rate is below the lowest one in the last steps
            assert schedule(t) == pytest.approx(0.01 * (1 + p * (32 - 1)) / 32, rel=1e-12)
        else:
            assert schedule(t) == pytest.approx(0.01 / 32, rel=1e-12)


@pytest.mark.filterwarnings("ignore:numpy.core is deprecated")  # fastai's load_model names it
def test_rates_of_the_finder(tmp_path: Path) -> None:
    learn = learner(30, tmp_path)
    learn.lr_find(stop_div=False, show_plot=False, suggest_funcs=None)
    np.testing.assert_allclose(learn.recorder.lrs, [exponential()(t) for t in range(100)], rtol=1e-9)
    assert set(learn.keep_hypers.fits[0][1]) == {0.9}
