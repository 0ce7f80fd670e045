"""Document vectors and class probabilities against fastai's `SentenceEncoder` and `PoolingLinearClassifier`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial

import jax
import numpy as np
import pytest

from oracles.fastai.learners import document_batch, padded
from oracles.fastai.networks import CLASSIFIER, SIZES, drawn, fastai_classifier
from oracles.fastai.reference import fastai, torch
from ulmfit_jax.data.batches import DocumentBatch, DocumentBatches
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.nn.documents import concat_pool, encode_documents
from ulmfit_jax.nn.parameters import Tree

FEATURES = SIZES.embedding_size
WHOLE = 1440
"""fastai's default `max_len`, longer than the short documents here."""

close = partial(np.testing.assert_allclose, rtol=1e-5, atol=2e-6)


@cache
def start() -> tuple[Tree, Tree]:
    return drawn(CLASSIFIER)


def batch_of(lengths: Sequence[int], bptt: int) -> DocumentBatch:
    """One batch of documents of these lengths, longest first, and two filler rows; it has more chunks than needed."""
    random = np.random.default_rng(5)
    documents = [random.integers(2, SIZES.vocabulary_size, length).astype(np.int32) for length in lengths]
    return next(DocumentBatches(Corpus.from_arrays(documents), None, len(lengths) + 2, bptt).evaluation())


@partial(jax.jit, static_argnums=4)
def classified(
    parameters: Tree, statistics: Tree, tokens: jax.Array, lengths: jax.Array, max_length: int
) -> tuple[jax.Array, jax.Array]:
    network = CLASSIFIER.bind(parameters, statistics)
    scores = network.scores(tokens, lengths, max_length)
    vectors = concat_pool(encode_documents(network.encoder, tokens, lengths, None, max_length))
    return vectors, jax.nn.softmax(scores)


def our_vectors(batch: DocumentBatch, max_length: int) -> tuple[np.ndarray, np.ndarray]:
    """Pooled features and probabilities of the documents, without the filler rows."""
    rows = (batch.lengths > 0).sum()
    features, probabilities = classified(*start(), batch.tokens, batch.lengths, max_length)
    return np.asarray(features)[:rows], np.asarray(probabilities)[:rows]


def fastai_vectors(tokens: torch.Tensor, bptt: int, max_length: int) -> tuple[np.ndarray, np.ndarray]:
    """The same of documents as fastai lays them out, `[batch, width]`."""
    model = fastai_classifier(*start(), bptt=bptt, max_length=max_length).eval()
    with torch.no_grad():
        features = fastai.masked_concat_pool(*model[0](tokens), bptt)
        return features.numpy(), model(tokens)[0].softmax(dim=-1).numpy()


def fastai_vectors_alone(batch: DocumentBatch, max_length: int) -> tuple[np.ndarray, np.ndarray]:
    """The same with every document in a batch of its own, where nothing is padding."""
    bptt = batch.tokens.shape[1]
    alone = [padded([batch.read(row)], bptt) for row in np.flatnonzero(batch.lengths)]
    features, probabilities = zip(*(fastai_vectors(tokens, bptt, max_length) for tokens in alone), strict=True)
    return np.concatenate(features), np.concatenate(probabilities)


@pytest.mark.parametrize(
    ("bptt", "max_length", "lengths"),
    [
        (8, WHOLE, [40, 39, 33, 32, 17, 16, 15, 9, 8, 7, 1]),
        (8, 16, [40, 39, 33, 32, 17, 16, 15, 9, 8, 7, 1]),
        (8, 20, [40, 39, 33, 32, 17, 16, 15, 9, 8, 7, 1]),
        (8, 8, [16, 3]),
        (72, WHOLE, [1512, 1500, 1441, 1440, 1439, 1369, 144, 73, 72, 71, 5]),
    ],
)
def test_vectors_and_probabilities_are_fastai_s_in_batches_of_whole_chunks(
    bptt: int, max_length: int, lengths: list[int]
) -> None:
    """The width of each batch is a multiple of bptt, so that neither fastai's defect nor intended difference 3 acts."""
    batch = batch_of(lengths, bptt)
    expected, probabilities = fastai_vectors(document_batch(batch)[0], bptt, max_length)
    ours = our_vectors(batch, max_length)
    close(ours[0], expected)
    close(ours[1], probabilities)
    assert np.ptp(probabilities, axis=0).max() > 0.02


def test_vectors_of_backward_documents_are_fastai_s() -> None:
    documents = [batch_of([length], 8).read(0) for length in (24, 17, 8, 3)]
    batches = DocumentBatches(Corpus.from_arrays(documents), None, 4, 8, backwards=True)
    ours = our_vectors(next(batches.evaluation()), WHOLE)
    flipped = [fastai.reverse_text(torch.from_numpy(document)).numpy() for document in documents]
    expected = fastai_vectors(padded(flipped, 8), 8, WHOLE)
    close(ours[0], expected[0])
    close(ours[1], expected[1])


def test_the_last_output_is_the_last_token_s_where_fastai_reads_another_position() -> None:
    """Intended difference 2: texts within the last, partial chunk of a wider batch, here of 37 = 4 * 8 + 5 tokens."""
    batch = batch_of([37, 33, 10, 5, 4, 1], 8)
    defective = np.array([False, False, False, True, True, True])
    ours, expected = our_vectors(batch, WHOLE), fastai_vectors_alone(batch, WHOLE)
    close(ours[0], expected[0])
    close(ours[1], expected[1])
    together, _ = fastai_vectors(document_batch(batch)[0], 8, WHOLE)
    close(together[:, FEATURES:], expected[0][:, FEATURES:])
    close(together[~defective], expected[0][~defective])
    distances = np.abs(together - expected[0])[:, :FEATURES].max(axis=1)
    assert (distances[defective] > 0.01).all()


def test_short_texts_are_encoded_where_fastai_leaves_them_out_for_those_that_ended_a_chunk_earlier() -> None:
    """Intended difference 2: of 5 texts with a token in the last chunk fastai encodes the first 5 rows, among them the
    one of 16 tokens, which has ended, but not the last."""
    batch = batch_of([37, 33, 16, 5, 4, 1], 8)
    ours, expected = our_vectors(batch, WHOLE), fastai_vectors_alone(batch, WHOLE)
    close(ours[0], expected[0])
    close(ours[1], expected[1])
    together, _ = fastai_vectors(document_batch(batch)[0], 8, WHOLE)
    close(together[:5, FEATURES:], expected[0][:5, FEATURES:])
    assert not together[5].any()
    assert np.abs(ours[0][5]).max() > 0.01


def test_fastai_reads_zeros_for_a_short_text_in_a_batch_a_little_wider_than_a_chunk() -> None:
    """Intended difference 2: 10 tokens in a batch of width 100 with chunks of 72."""
    batch = batch_of([100, 10], 72)
    together, _ = fastai_vectors(document_batch(batch)[0], 72, WHOLE)
    assert not together[1, :FEATURES].any()
    assert np.abs(our_vectors(batch, WHOLE)[0][1, :FEATURES]).max() > 0.01
    close(our_vectors(batch, WHOLE)[0], fastai_vectors_alone(batch, WHOLE)[0])


def test_what_is_pooled_of_a_long_document_does_not_depend_on_the_batch_as_it_does_in_fastai() -> None:
    """Intended difference 3: beside one of 37 tokens, fastai ends documents of 16 and 15 before the last, partial
    chunk, so that of the 16 positions of `max_len` only 8 are left to them."""
    batch = batch_of([37, 16, 15], 8)
    ours, _ = our_vectors(batch, 16)
    close(ours, fastai_vectors_alone(batch, 16)[0])
    together, _ = fastai_vectors(document_batch(batch)[0], 8, 16)
    close(together[0], ours[0])
    close(together[1:], our_vectors(batch, 8)[0][1:])
    assert (np.abs(together[1:] - ours[1:]).max(axis=1) > 0.01).all()


def test_max_len_is_counted_in_whole_chunks_where_fastai_counts_from_the_width_of_the_batch() -> None:
    """Intended difference 3: of 20 positions we pool the last two chunks, and fastai the last three of 33 columns."""
    batch = batch_of([33], 8)
    together, _ = fastai_vectors(document_batch(batch)[0], 8, 20)
    close(together, our_vectors(batch, 24)[0])
    close(our_vectors(batch, 20)[0], our_vectors(batch, 16)[0])
    assert np.abs(together - our_vectors(batch, 20)[0]).max() > 0.01
