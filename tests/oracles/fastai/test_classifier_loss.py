"""The classifier's loss, penalties, gradients and running statistics against fastai's, dropout off."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
import pytest

from oracles.fastai.comparison import assert_close
from oracles.fastai.learners import Epochs, KeepGradients, TorchBatch, document_batch, learner
from oracles.fastai.networks import BPTT, CLASSIFIER, HEAD, SIZES, drawn, fastai_classifier
from oracles.fastai.weights import statistics_of
from ulmfit_jax.data.batches import DocumentBatch, DocumentBatches
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.nn.architecture import Dropouts
from ulmfit_jax.nn.awd_lstm import Noise
from ulmfit_jax.nn.batch_norm import running_statistics
from ulmfit_jax.nn.parameters import Tree

WHOLE = 1440
"""fastai's default `max_len`, longer than the documents here."""

PENALTIES = (2.0, 30.0)
"""fastai's AR, and a TAR that shows with so few and so small changes."""


class Differentiated(NamedTuple):
    cross_entropy: float
    loss: float
    gradients: Tree
    statistics: Tree


@pytest.fixture(scope="module")
def start() -> tuple[Tree, Tree]:
    return drawn(CLASSIFIER)


def batch_of(lengths: Sequence[int]) -> DocumentBatch:
    """One batch of documents of these lengths, longest first, with more chunks than it needs, and labels."""
    random = np.random.default_rng(6)
    documents = [random.integers(2, SIZES.vocabulary_size, length).astype(np.int32) for length in lengths]
    labels = random.integers(0, HEAD.n_classes, len(lengths))
    return next(DocumentBatches(Corpus.from_arrays(documents), labels, len(lengths), BPTT).evaluation())


@partial(jax.jit, static_argnums=(5, 6))
def _differentiated(
    parameters: Tree,
    statistics: Tree,
    tokens: jax.Array,
    lengths: jax.Array,
    labels: jax.Array,
    max_length: int,
    penalties: tuple[float, float],
) -> tuple[tuple[jax.Array, tuple[jax.Array, Tree]], Tree]:
    noise = Noise(jax.random.key(0), Dropouts(), np.arange(tokens.shape[2], dtype=np.int32))

    def loss(parameters: Tree) -> tuple[jax.Array, tuple[jax.Array, Tree]]:
        network = CLASSIFIER.bind(parameters, statistics)
        total, plain = network.loss(
            tokens,
            lengths,
            labels,
            noise,
            max_length=max_length,
            activation_penalty=penalties[0],
            temporal_penalty=penalties[1],
        )
        return total, (plain, running_statistics(statistics, CLASSIFIER.statistics_of(network)))

    return jax.value_and_grad(loss, has_aux=True)(parameters)


def ours(
    start: tuple[Tree, Tree], batch: DocumentBatch, max_length: int, penalties: tuple[float, float] = PENALTIES
) -> Differentiated:
    (loss, (plain, statistics)), gradients = _differentiated(
        *start, batch.tokens, batch.lengths, batch.labels, max_length, penalties
    )
    return Differentiated(float(plain), float(loss), gradients, statistics)


def reference(
    start: tuple[Tree, Tree], batch: TorchBatch, max_length: int, penalties: tuple[float, float] = PENALTIES
) -> Differentiated:
    kept, model = KeepGradients(), fastai_classifier(*start, max_length=max_length)
    learner(model, Epochs([[batch]]), alpha=penalties[0], beta=penalties[1]).fit(1, cbs=kept)
    return Differentiated(*kept.steps[0], statistics_of(model))


def assert_equal(one: Differentiated, other: Differentiated) -> None:
    assert one.cross_entropy == pytest.approx(other.cross_entropy, rel=1e-5)
    assert one.loss == pytest.approx(other.loss, rel=1e-5)
    assert_close(one.gradients, other.gradients, 2e-5)
    assert_close(one.statistics, other.statistics, 2e-6)


@pytest.mark.parametrize("penalties", [(0.0, 0.0), (2.0, 0.0), (0.0, 30.0)])
@pytest.mark.parametrize("max_length", [WHOLE, 16])
def test_losses_gradients_and_statistics_are_fastai_s_in_batches_of_whole_chunks(
    start: tuple[Tree, Tree], max_length: int, penalties: tuple[float, float]
) -> None:
    """The width is a multiple of bptt, so that intended differences 2 to 4 do not act; with a `max_len` of 16 the
    first chunks only warm the state."""
    batch = batch_of([40, 33, 24, 17, 16, 9, 8, 7, 1])
    found = ours(start, batch, max_length, penalties)
    assert_equal(found, reference(start, document_batch(batch), max_length, penalties))
    assert found.loss - found.cross_entropy > 0.01 or not any(penalties)


@pytest.mark.parametrize("lengths", [[37, 35, 34, 33, 29, 28, 27, 26, 25, 21], [7, 6, 5, 5, 4, 4, 3, 3, 2, 1]])
def test_a_last_chunk_that_is_not_full_changes_nothing(start: tuple[Tree, Tree], lengths: list[int]) -> None:
    """Of 37 columns we make 40, of 7 columns 8; what is too much counts in no penalty."""
    batch = batch_of(lengths)
    assert batch.tokens.shape[0] * batch.tokens.shape[1] > lengths[0]
    assert_equal(ours(start, batch, WHOLE), reference(start, document_batch(batch), WHOLE))
