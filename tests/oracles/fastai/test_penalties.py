"""The language model's loss with AR and TAR against fastai's `RNNRegularizer`, dropout off: values and gradients."""

from __future__ import annotations

from functools import partial

import jax
import numpy as np
import pytest

from oracles.fastai.comparison import assert_close
from oracles.fastai.learners import Epochs, KeepGradients, learner, stream_batch
from oracles.fastai.networks import BPTT, LANGUAGE_MODEL, SIZES, drawn, fastai_language_model
from ulmfit_jax.nn.architecture import Dropouts
from ulmfit_jax.nn.awd_lstm import EncoderState, Noise, initial_state
from ulmfit_jax.nn.parameters import Tree

Step = tuple[float, float, Tree]
"""Cross-entropy, loss with the penalties, gradients of the latter."""


@pytest.fixture(scope="module")
def parameters() -> Tree:
    return drawn(LANGUAGE_MODEL)[0]


def stream_batches(rows: int, time: int = BPTT) -> list[tuple[np.ndarray, np.ndarray]]:
    """Three batches of inputs and targets, `[time, rows]`."""
    tokens = np.random.default_rng(4).integers(2, SIZES.vocabulary_size, (3 * time + 1, rows)).astype(np.int32)
    starts = range(0, 3 * time, time)
    return [(tokens[start : start + time], tokens[start + 1 : start + time + 1]) for start in starts]


@partial(jax.jit, static_argnums=(4, 5))
def differentiated(
    parameters: Tree, inputs: jax.Array, targets: jax.Array, state: EncoderState, activation: float, temporal: float
) -> tuple[tuple[jax.Array, tuple[jax.Array, EncoderState]], Tree]:
    noise = Noise(jax.random.key(0), Dropouts(), np.arange(inputs.shape[1], dtype=np.int32))

    def loss(parameters: Tree) -> tuple[jax.Array, tuple[jax.Array, EncoderState]]:
        return LANGUAGE_MODEL.bind(parameters).loss(inputs, targets, state, noise, activation, temporal)

    return jax.value_and_grad(loss, has_aux=True)(parameters)


def our_steps(
    parameters: Tree, batches: list[tuple[np.ndarray, np.ndarray]], activation: float, temporal: float
) -> list[Step]:
    state, steps = initial_state(SIZES, batches[0][0].shape[1]), []
    for inputs, targets in batches:
        (loss, (plain, state)), gradients = differentiated(parameters, inputs, targets, state, activation, temporal)
        steps.append((float(plain), float(loss), gradients))
    return steps


def fastai_steps(
    parameters: Tree, batches: list[tuple[np.ndarray, np.ndarray]], activation: float, temporal: float
) -> list[Step]:
    """What fastai's learner computes; its `ModelResetter` sets the state to zero before the first batch only."""
    kept, model = KeepGradients(), fastai_language_model(parameters)
    train = Epochs([[stream_batch(*batch) for batch in batches]])
    learner(model, train, alpha=activation, beta=temporal).fit(1, cbs=kept)
    return kept.steps


@pytest.mark.parametrize(("activation", "temporal"), [(0.0, 0.0), (20.0, 0.0), (0.0, 30.0), (2.0, 1.0)])
def test_losses_and_gradients_are_fastai_s_batch_after_batch(
    parameters: Tree, activation: float, temporal: float
) -> None:
    batches = stream_batches(rows=4)
    ours, expected = (steps(parameters, batches, activation, temporal) for steps in (our_steps, fastai_steps))
    for (plain, loss, gradients), (expected_plain, expected_loss, expected_gradients) in zip(
        ours, expected, strict=True
    ):
        assert plain == pytest.approx(expected_plain, rel=1e-5)
        assert loss == pytest.approx(expected_loss, rel=1e-5)
        assert loss - plain > 0.01 or not (activation or temporal)
        assert_close(gradients, expected_gradients, 2e-5)


def test_tar_acts_for_any_number_of_rows_where_fastai_leaves_out_a_single_one(parameters: Tree) -> None:
    """fastai asks whether there is more than one row where it means more than one step."""
    batches = stream_batches(rows=1)
    for (plain, loss, _), (_, expected, _) in zip(
        our_steps(parameters, batches, 0.0, 30.0), fastai_steps(parameters, batches, 0.0, 30.0), strict=True
    ):
        assert expected == pytest.approx(plain, rel=1e-5)
        assert loss > plain + 0.005
    single = stream_batches(rows=4, time=1)
    assert all(np.isnan(loss) for _, loss, _ in fastai_steps(parameters, single, 0.0, 30.0))
    assert all(loss == pytest.approx(plain, rel=1e-6) for plain, loss, _ in our_steps(parameters, single, 0.0, 30.0))
