"""The optimiser against fastai's `Adam`, on the parameters of its language model and of its classifier."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracles.fastai.learners import learner
from oracles.fastai.names import our_path
from oracles.fastai.networks import CLASSIFIER, LANGUAGE_MODEL, drawn, fastai_classifier, fastai_language_model
from oracles.fastai.reference import fastai, torch
from oracles.fastai.weights import gradients_of, parameters_of
from ulmfit_jax.nn.parameters import flatten, unflatten
from ulmfit_jax.optim.adam import decays, fastai_adam
from ulmfit_jax.optim.clipping import clipping_scale
from ulmfit_jax.optim.groups import CLASSIFIER_GROUPS, LANGUAGE_MODEL_GROUPS, freeze_to, group_labels
from ulmfit_jax.optim.optimizer import layerwise_adam
from ulmfit_jax.optim.schedules import one_cycle, one_cycle_momentum

KINDS = ["language_model", "classifier"]


class Twins:
    """One network under fastai's optimiser and under ours, moved by the same drawn gradients.

    Attributes:
        learn: fastai's learner.
        parameters: ours.
    """

    def __init__(self, kind: str, weight_decay: float = 0.1, max_norm: float | None = None) -> None:
        is_classifier = kind == "classifier"
        self.parameters, statistics = drawn(CLASSIFIER if is_classifier else LANGUAGE_MODEL)
        self.groups = CLASSIFIER_GROUPS if is_classifier else LANGUAGE_MODEL_GROUPS
        self.learn = (
            learner(fastai_classifier(self.parameters, statistics), [], splitter=fastai.awd_lstm_clas_split)
            if is_classifier
            else learner(fastai_language_model(self.parameters), [], splitter=fastai.awd_lstm_lm_split)
        )
        self.learn.create_opt()
        self.weight_decay, self.max_norm = weight_decay, max_norm
        self.random = np.random.default_rng(0)
        self.freeze_to(0)

    def freeze_to(self, n: int) -> None:
        self.learn.freeze_to(n)
        trainable = freeze_to(self.groups, n)
        adam = layerwise_adam(self.parameters, self.groups, trainable, self.weight_decay, self.max_norm)
        self.state, self.update = adam.init(self.parameters), jax.jit(adam.update)

    def step(self, rates: np.ndarray, momentum: float, gradient_scale: float = 1.0) -> None:
        optimizer, model = self.learn.opt, self.learn.model
        for tensor in model.parameters():
            if tensor.requires_grad:
                values = gradient_scale * self.random.normal(size=tuple(tensor.shape))
                tensor.grad = torch.tensor(values, dtype=torch.float32)
        given = flatten(gradients_of(model))
        zeros = {path: np.zeros_like(array) for path, array in flatten(self.parameters).items()}
        updates, self.state = self.update(
            unflatten(zeros | given), self.state, self.parameters, learning_rates=rates, momentum=momentum
        )
        self.parameters = optax.apply_updates(self.parameters, updates)
        if self.max_norm is not None:
            clip = fastai.GradientClip(self.max_norm)
            clip.learn = self.learn
            clip.before_step()
        optimizer.set_hypers(lr=list(rates), mom=momentum, wd=self.weight_decay)
        optimizer.step()
        optimizer.zero_grad()

    def run(self, steps: int) -> None:
        """Steps at one-cycle rates, which differ by group; the parameters are compared after each."""
        peaks = np.geomspace(1e-3, 2e-2, len(self.groups))
        for t in range(steps):
            self.step(
                peaks * one_cycle(steps, 1.0)(t), one_cycle_momentum(steps)(t), 10.0 ** self.random.uniform(-5, 1)
            )
            self.assert_equal()

    def assert_equal(self) -> None:
        ours, theirs = flatten(self.parameters), flatten(parameters_of(self.learn.model))
        for path, array in theirs.items():
            np.testing.assert_allclose(ours[path], array, rtol=1e-6, atol=1e-6, err_msg=path)


def by_path(model: torch.nn.Module) -> dict[str, Any]:
    return {our_path(name): tensor for name, tensor in model.named_parameters()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_at_changing_rates_and_momenta(kind: str) -> None:
    Twins(kind).run(40)


@pytest.mark.parametrize("kind", KINDS)
def test_freezing_clears_moments_and_step_count(kind: str) -> None:
    """Gradual unfreezing, each stage from new moments."""
    twins = Twins(kind)
    for n in (-1, -2, -3, 0):
        twins.freeze_to(n)
        assert all("grad_avg" not in state and "step" not in state for *_, state, _ in twins.learn.opt.all_params())
        twins.run(5)


@pytest.mark.parametrize("kind", KINDS)
def test_without_decay(kind: str) -> None:
    Twins(kind, weight_decay=0.0).run(5)


@pytest.mark.parametrize("kind", KINDS)
def test_which_parameters_are_decayed(kind: str) -> None:
    """A step without gradients only decays."""
    twins = Twins(kind, weight_decay=0.5)
    before = flatten(parameters_of(twins.learn.model))
    twins.step(np.full(len(twins.groups), 0.1), 0.8, gradient_scale=0.0)
    twins.assert_equal()
    for path, tensor in by_path(twins.learn.model).items():
        assert twins.learn.opt.state[tensor].get("do_wd", True) == decays(path)
        factor = 0.95 if decays(path) else 1.0
        np.testing.assert_allclose(flatten(twins.parameters)[path], factor * before[path], rtol=1e-6, err_msg=path)
    decayed = {path.split("/")[-1] for path in before if decays(path)}
    assert {"input_bias", "recurrent_bias", "embedding"} <= decayed
    assert decayed.isdisjoint({"bias", "scale"})


def test_layers_frozen_after_they_were_trained_are_left_alone() -> None:
    """fastai goes on to decay them: their gradients are zeros by then, not none."""
    twins = Twins("classifier", weight_decay=0.5)
    twins.run(1)
    before = flatten(parameters_of(twins.learn.model))
    twins.freeze_to(-1)
    twins.step(np.full(5, 0.1), 0.8)
    ours, theirs = flatten(twins.parameters), flatten(parameters_of(twins.learn.model))
    for path, label in flatten(group_labels(twins.parameters, CLASSIFIER_GROUPS)).items():
        if label == "head":
            np.testing.assert_allclose(ours[path], theirs[path], rtol=1e-6, atol=1e-6)
        else:
            np.testing.assert_allclose(ours[path], before[path], rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(theirs[path], 0.95 * before[path], rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("max_norm", [1e-3, 0.25, 1e6])
def test_clipping(kind: str, max_norm: float) -> None:
    twins = Twins(kind, max_norm=max_norm)
    for n in (-2, 0):
        twins.freeze_to(n)
        twins.run(5)


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4)), min_size=1, max_size=4),
    st.floats(-6.0, 6.0),
    st.sampled_from([0.1, 0.25, 1.0, 25.0]),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=50)
def test_clipped_gradients(shapes: list[tuple[int, int]], exponent: float, max_norm: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    gradients = [(10.0**exponent * random.normal(size=shape)).astype(np.float32) for shape in shapes]
    tensors = [torch.nn.Parameter(torch.zeros(shape)) for shape in shapes]
    for tensor, gradient in zip(tensors, gradients, strict=True):
        tensor.grad = torch.tensor(gradient)
    torch.nn.utils.clip_grad_norm_(tensors, max_norm)
    scale = clipping_scale([jnp.asarray(gradient) for gradient in gradients], max_norm)
    for tensor, gradient in zip(tensors, gradients, strict=True):
        np.testing.assert_allclose(gradient * np.asarray(scale), tensor.grad.numpy(), rtol=1e-6)


@given(
    weight_decay=st.sampled_from([0.0, 0.01, 0.3]),
    sqr_momentum=st.sampled_from([0.9, 0.99, 0.999]),
    eps=st.sampled_from([1e-8, 1e-5]),
    hypers=st.lists(st.tuples(st.floats(1e-6, 0.1), st.floats(0.0, 0.99), st.floats(-6, 2)), min_size=1, max_size=8),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=40)
def test_any_setting(
    weight_decay: float, sqr_momentum: float, eps: float, hypers: list[tuple[float, float, float]], seed: int
) -> None:
    random = np.random.default_rng(seed)
    start = random.normal(size=(3, 4)).astype(np.float32)
    tensor = torch.nn.Parameter(torch.tensor(start))
    theirs = fastai.Adam([tensor], lr=1.0, sqr_mom=sqr_momentum, eps=eps, wd=weight_decay)
    ours, params = fastai_adam(sqr_momentum, eps, weight_decay), {"kernel": jnp.asarray(start)}
    state = ours.init(params)
    for rate, momentum, exponent in hypers:
        gradient = (10.0**exponent * random.normal(size=start.shape)).astype(np.float32)
        tensor.grad = torch.tensor(gradient)
        theirs.set_hypers(lr=rate, mom=momentum)
        theirs.step()
        updates, state = ours.update(
            {"kernel": jnp.asarray(gradient)}, state, params, learning_rate=rate, momentum=momentum
        )
        params = optax.apply_updates(params, updates)
        # 1 - momentum^k, which the step is divided by, has five true digits in float32 for a momentum of 0.99
        np.testing.assert_allclose(params["kernel"], tensor.detach().numpy(), rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(state.mean["kernel"], theirs.state[tensor]["grad_avg"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(state.square["kernel"], theirs.state[tensor]["sqr_avg"], rtol=1e-5)
    assert int(state.steps) == theirs.state[tensor]["step"]
