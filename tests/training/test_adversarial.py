"""Adversarial training: where documents are pushed to, what is learnt from both, and where it acts."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_runs import classifier_task, run

from oracles.sorted_batches import padded
from ulmfit_jax.nn.architecture import Architecture, Dropouts
from ulmfit_jax.nn.awd_lstm import Noise
from ulmfit_jax.nn.classifier import ClassifierNetwork, Head
from ulmfit_jax.nn.parameters import ModuleDefinition, Tree, flatten
from ulmfit_jax.training.adversarial import perturbation, token_norms, with_adversarial_examples
from ulmfit_jax.training.loop_options import TrainResult
from ulmfit_jax.training.stages import Stage

SIZES = Architecture(vocabulary_size=20, embedding_size=3, hidden_size=4, n_layers=2)
DEFINITION = ModuleDefinition(
    lambda rngs: ClassifierNetwork(SIZES, Head(2, (6,), (0.0,), pool_layers="all"), rngs=rngs)
)
BPTT, CHUNKS, MAX_LENGTH = 4, 3, 8
DOCUMENTS, LABELS = [[2, 3, 4, 5, 6], [7, 8], [9, 3, 5, 12, 9, 8, 4, 2, 11, 3]], np.array([0, 1, 1, -1], np.int32)
LENGTHS = np.array([*map(len, DOCUMENTS), 0], np.int32)
SHAPE = (MAX_LENGTH // BPTT, BPTT, len(LABELS), SIZES.embedding_size)


def laid_out() -> np.ndarray:
    """The documents and a filler row as `[chunks, bptt, batch]`."""
    rows = [padded(document, CHUNKS * BPTT, BPTT, 1) for document in [*DOCUMENTS, []]]
    return np.array(rows, np.int32).T.reshape(CHUNKS, BPTT, -1)


@pytest.fixture(scope="module")
def weights() -> tuple[Tree, Tree]:
    """Parameters larger than at the start."""
    parameters, statistics = DEFINITION.initialise(1)
    parameters["encoder"]["embedding"] *= 20
    return parameters, statistics


@jax.jit
def cross_entropy(parameters: Tree, statistics: Tree, pushed: jax.Array) -> jax.Array:
    noise = Noise(jax.random.key(0), Dropouts(), jnp.arange(len(LABELS), dtype=jnp.int32))
    network = DEFINITION.bind(parameters, statistics)
    return network.loss(laid_out(), LENGTHS, LABELS, noise, max_length=MAX_LENGTH, perturbation=pushed)[1]


def tokens_pushed() -> np.ndarray:
    """Which places of a perturbation belong to a token: `[time, batch]`."""
    return laid_out().reshape(CHUNKS * BPTT, -1)[-MAX_LENGTH:] != 1


def test_only_tokens_are_pushed(weights: tuple[Tree, Tree]) -> None:
    slope = np.asarray(jax.grad(cross_entropy, 2)(*weights, jnp.zeros(SHAPE))).reshape(MAX_LENGTH, len(LABELS), -1)
    assert (slope[~tokens_pushed()] == 0).all()
    assert (np.abs(slope[tokens_pushed()]).max(axis=-1) > 0).all()


def test_the_slope_is_that_of_the_embedding(weights: tuple[Tree, Tree]) -> None:
    """A token's row of the embedding moves the loss as pushing the token wherever it is pooled and trained on does."""
    parameters, statistics = weights
    pushed = np.asarray(jax.grad(cross_entropy, 2)(parameters, statistics, jnp.zeros(SHAPE)))
    of_rows = np.asarray(jax.grad(cross_entropy)(parameters, statistics, jnp.zeros(SHAPE))["encoder"]["embedding"])
    summed = np.zeros_like(of_rows)
    np.add.at(summed, laid_out()[-SHAPE[0] :].reshape(-1), pushed.reshape(-1, SIZES.embedding_size))
    np.testing.assert_allclose(of_rows, summed, atol=1e-6)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    exponent=st.integers(-30, 10),
    reach=st.lists(st.floats(0, 50), min_size=4, max_size=4),
)
def test_a_perturbation_has_its_gradient_s_direction_and_the_norm_asked_for(
    seed: int, exponent: int, reach: list[float]
) -> None:
    ascent = np.random.default_rng(seed).normal(size=SHAPE) * 10.0**exponent
    ascent[:, :, 3] = 0  # a filler row
    found = np.asarray(perturbation(jnp.asarray(ascent, jnp.float32), jnp.asarray(reach, jnp.float32)), np.float64)
    for row, norm in enumerate(reach[:3]):
        expected = ascent[:, :, row] / np.linalg.norm(ascent[:, :, row]) * norm
        np.testing.assert_allclose(found[:, :, row], expected, rtol=1e-5, atol=1e-6)
    assert (found[:, :, 3] == 0).all()


def test_norms_are_those_of_a_document_s_embedded_tokens(weights: tuple[Tree, Tree]) -> None:
    embedding = np.asarray(weights[0]["encoder"]["embedding"])
    expected = [np.sqrt(np.square(embedding[document]).sum(axis=1).mean()) for document in DOCUMENTS]
    np.testing.assert_allclose(token_norms(embedding, laid_out(), LENGTHS), [*expected, 0], rtol=1e-5)


def test_the_mean_over_a_batch_and_its_adversarial_examples_is_learnt_from(weights: tuple[Tree, Tree]) -> None:
    """Against the same in steps: where half a token's norm leads, and the plain gradients there and here."""
    parameters, statistics = weights
    reach = 0.5 * token_norms(parameters["encoder"]["embedding"], laid_out(), LENGTHS)

    def loss(parameters: Tree, pushed: jax.Array, penalties: float) -> tuple[jax.Array, Any]:
        weight = jnp.square(parameters["encoder"]["embedding"]).sum()
        found = cross_entropy(parameters, statistics, pushed)
        return found + penalties * weight, found

    (value, told), gradients = with_adversarial_examples(loss, parameters, SHAPE, reach)
    here = cross_entropy(parameters, statistics, jnp.zeros(SHAPE))
    slope = np.asarray(jax.grad(cross_entropy, 2)(parameters, statistics, jnp.zeros(SHAPE)))
    norms = np.maximum(np.sqrt(np.square(slope).sum(axis=(0, 1, 3))), 1e-30)
    pushed = jnp.asarray(slope / norms[:, None] * np.asarray(reach)[:, None])
    there = cross_entropy(parameters, statistics, pushed)
    assert float(there) > float(here) + 0.01, "the loss rises that way"
    assert float(told) == pytest.approx(float(here))
    weight = float(np.square(parameters["encoder"]["embedding"]).sum())
    assert float(value) == pytest.approx((float(here) + float(there)) / 2 + weight, rel=1e-5)
    both = [jax.grad(cross_entropy)(parameters, statistics, at) for at in (jnp.zeros(SHAPE), pushed)]
    expected = jax.tree.map(lambda one, other: (one + other) / 2, *both)
    expected["encoder"]["embedding"] += 2 * parameters["encoder"]["embedding"]
    for path, leaf in flatten(expected).items():
        np.testing.assert_allclose(flatten(gradients)[path], leaf, rtol=1e-4, atol=1e-5, err_msg=path)


STAGES = [Stage("head", 1, 2e-2, -1), Stage("all layers", 2, (1e-3, 1e-2))]


def trained(adversarial: float, stages: list[Stage], devices: int = 1, drop_mult: float = 1.0) -> TrainResult:
    task = classifier_task(devices, adversarial=adversarial, drop_mult=drop_mult)
    return run(task, stages, devices=devices)


def largest_difference(one: TrainResult, other: TrainResult) -> float:
    leaves = flatten(one.parameters), flatten(other.parameters)
    return max(float(np.abs(leaves[0][path] - leaves[1][path]).max()) for path in leaves[0])


@pytest.mark.slow
def test_it_acts_where_all_layers_are_trained_and_nowhere_else() -> None:
    assert largest_difference(trained(0.0, STAGES[:1]), trained(0.3, STAGES[:1])) == 0
    assert largest_difference(trained(0.0, STAGES), trained(0.3, STAGES)) > 1e-3


@pytest.mark.slow
def test_the_documents_are_learnt_all_the_same() -> None:
    assert trained(0.2, [Stage("all layers", 20, (4e-3, 1e-2))], drop_mult=0.2).history[-1]["error_rate"] == 0


@pytest.mark.slow
def test_several_devices_learn_what_one_does() -> None:
    one, two = (trained(0.3, STAGES[1:], devices) for devices in (1, 2))
    assert largest_difference(one, two) < 5e-4
    for alone, shared in zip(one.history, two.history, strict=True):
        assert shared["train_loss"] == pytest.approx(alone["train_loss"], abs=5e-5)
