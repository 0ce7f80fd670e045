"""The dropouts against fastai's: how many masks of which shapes and rates are drawn when, and, given the same masks,
losses and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from oracles.fastai.comparison import assert_close
from oracles.fastai.learners import Epochs, KeepGradients, TorchBatch, document_batch, learner, stream_batch
from oracles.fastai.masks import Mask, give_to_fastai, record_fastai, record_ours
from oracles.fastai.networks import BPTT, SIZES, drawn, fastai_classifier, fastai_language_model
from oracles.fastai.reference import torch
from ulmfit_jax.data.batches import DocumentBatches
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.nn.architecture import Dropouts
from ulmfit_jax.nn.awd_lstm import Noise, initial_state
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.parameters import Tree
from ulmfit_jax.training.classifier import classifier_definition
from ulmfit_jax.training.language_model import language_model_definition

RATES = Dropouts(output=0.1, hidden=0.15, input=0.25, embedding=0.3, weight=0.2)
HEAD = Head(3, (10,), (0.4,))
LENGTHS = [24, 20, 17, 9, 5]
"""Three, two and one chunks: fastai runs the first 3, 4 and 5 rows."""

LANGUAGE_MODEL, CLASSIFIER = language_model_definition(SIZES), classifier_definition(SIZES, HEAD)
Loss = Callable[[Tree, jax.Array], jax.Array]


def language_model() -> tuple[Tree, Loss, torch.nn.Module, TorchBatch]:
    """Parameters, our loss of them and a key, and fastai's model with a batch of four rows."""
    parameters, _ = drawn(LANGUAGE_MODEL)
    tokens = np.random.default_rng(10).integers(2, SIZES.vocabulary_size, (BPTT + 1, 4)).astype(np.int32)

    def loss(parameters: Tree, key: jax.Array) -> jax.Array:
        noise = Noise(key, RATES, np.arange(4, dtype=np.int32))
        return LANGUAGE_MODEL.bind(parameters).loss(tokens[:-1], tokens[1:], initial_state(SIZES, 4), noise)[0]

    return parameters, loss, fastai_language_model(parameters, RATES), stream_batch(tokens[:-1], tokens[1:])


def classifier() -> tuple[Tree, Loss, torch.nn.Module, TorchBatch]:
    """The same for a batch of documents."""
    parameters, statistics = drawn(CLASSIFIER)
    random = np.random.default_rng(11)
    documents = [random.integers(2, SIZES.vocabulary_size, length).astype(np.int32) for length in LENGTHS]
    batch = next(DocumentBatches(Corpus.from_arrays(documents), [0, 1, 2, 0, 1], 5, BPTT).evaluation())
    tokens = batch.tokens[-3:]  # without the chunks that round the batch up, for which nothing is drawn

    def loss(parameters: Tree, key: jax.Array) -> jax.Array:
        noise = Noise(key, RATES, np.arange(5, dtype=np.int32))
        return CLASSIFIER.bind(parameters, statistics).loss(tokens, batch.lengths, batch.labels, noise)[0]

    return parameters, loss, fastai_classifier(parameters, statistics, dropouts=RATES, head=HEAD), document_batch(batch)


def fastai_loss(model: torch.nn.Module, batch: TorchBatch) -> tuple[float, Tree]:
    """The loss with AR and TAR in training, and its gradients."""
    kept = KeepGradients()
    learner(model, Epochs([[batch]])).fit(1, cbs=kept)
    return kept.steps[0][1:]


def our_masks(loss: Loss, parameters: Tree, key: jax.Array) -> list[Mask]:
    with pytest.MonkeyPatch.context() as patch, jax.disable_jit():
        masks = record_ours(patch)
        loss(parameters, key)
    return masks


@pytest.mark.slow
@pytest.mark.parametrize("network", [language_model, classifier])
def test_with_our_masks_fastai_has_our_loss_and_gradients(network: Any) -> None:
    parameters, loss, model, batch = network()
    key = jax.random.key(3)
    value, gradients = jax.jit(jax.value_and_grad(loss))(parameters, key)
    with pytest.MonkeyPatch.context() as patch:
        left = give_to_fastai(our_masks(loss, parameters, key), patch)
        expected, expected_gradients = fastai_loss(model, batch)
    assert not left
    assert float(value) == pytest.approx(expected, rel=1e-5)
    assert_close(gradients, expected_gradients, 2e-5)


def drawn_by_fastai(model: torch.nn.Module, batch: TorchBatch) -> list[Mask]:
    with pytest.MonkeyPatch.context() as patch:
        masks = record_fastai(patch)
        fastai_loss(model, batch)
    return masks


@pytest.mark.slow
@pytest.mark.parametrize(("network", "count"), [(language_model, 8), (classifier, 3 * 7 + 2)])
def test_the_masks_have_fastai_s_shapes_rates_and_scales(network: Any, count: int) -> None:
    """Embedding, inputs, weights and hidden layers in every forward pass, hence in every chunk; then the decoder or
    the head. fastai draws for the rows that have started, here for all."""
    torch.manual_seed(0)
    parameters, loss, model, batch = network()
    ours, expected = our_masks(loss, parameters, jax.random.key(0)), drawn_by_fastai(model, batch)
    assert len(ours) == len(expected) == count
    for one, other in zip(ours, expected, strict=True):
        assert one.rate == other.rate
        assert one.array.shape[1:] == other.array.shape[1:]
        assert one.array.shape[0] >= other.array.shape[0]
        for mask in (one, other):
            np.testing.assert_allclose(mask.array[mask.array > 0], 1 / (1 - mask.rate), rtol=1e-6)
    assert len({mask.array.tobytes() for mask in ours}) == len({mask.array.tobytes() for mask in expected}) == count
    weights = (4 * SIZES.hidden_size, SIZES.hidden_size)
    assert [mask.array.shape for mask in ours[:3]] == [(40, 1), (batch[0].shape[0], 1, 12), weights]


@pytest.mark.slow
@pytest.mark.parametrize("network", [language_model, classifier])
def test_elements_are_dropped_as_often_as_by_fastai(network: Any) -> None:
    """Each place's share of dropped elements in twenty passes lies within five standard deviations of its rate."""
    parameters, loss, model, batch = network()
    keys = jax.random.split(jax.random.key(1), 20)
    torch.manual_seed(1)
    ours = [our_masks(loss, parameters, key) for key in keys]
    expected = [drawn_by_fastai(model, batch) for _ in keys]
    for place in [*zip(*ours, strict=True), *zip(*expected, strict=True)]:
        dropped = np.concatenate([mask.array.ravel() == 0 for mask in place])
        rate = place[0].rate
        assert abs(dropped.mean() - rate) < 5 * (rate * (1 - rate) / dropped.size) ** 0.5
