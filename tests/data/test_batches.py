from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracles.sorted_batches import padded, training_order
from ulmfit_jax.data.batches import DocumentBatch, DocumentBatches, chunk_buckets, short_chunks
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.errors import ConfigError, DataError
from ulmfit_jax.text.rules import BOS_ID, PAD_ID

lengths_of_documents = st.lists(st.integers(0, 60), min_size=1, max_size=40)


def numbered(lengths: list[int]) -> Corpus:
    """Documents in which every token is another, none a special one."""
    ends = np.cumsum([9, *lengths])
    return Corpus.from_arrays([np.arange(start, end) for start, end in pairwise(ends)])


def document(corpus: Corpus, index: int, backwards: bool) -> list[int]:
    ids = corpus[index].tolist() or [BOS_ID]
    return ids[::-1] if backwards else ids


def check_layout(batch: DocumentBatch, corpus: Corpus, labels: list[int], bptt: int, backwards: bool) -> None:
    chunks, time, rows = batch.tokens.shape
    longest = int(batch.lengths.max())
    if longest <= bptt:
        assert (chunks, time) == (1, min(steps for steps in short_chunks(bptt) if steps >= longest))
    else:
        assert (chunks, time) == (min(count for count in chunk_buckets(1000) if count * bptt >= longest), bptt)
    assert batch.tokens.dtype == batch.lengths.dtype == batch.labels.dtype == np.int32
    assert batch.documents.dtype == np.int64
    assert all(a >= b for a, b in pairwise(batch.lengths))
    for row in range(rows):
        index = int(batch.documents[row])
        expected = [] if index < 0 else document(corpus, index, backwards)
        assert batch.read(row).tolist() == expected
        assert batch.lengths[row] == len(expected)
        assert batch.labels[row] == (-1 if index < 0 else labels[index])
        flat = batch.tokens[:, :, row].reshape(-1).tolist()
        assert flat == padded(expected, chunks * time, time, PAD_ID)


@given(lengths_of_documents, st.integers(1, 9), st.integers(1, 12), st.booleans())
def test_evaluation_holds_each_document_once_longest_first(lengths, batch_size, bptt, backwards):
    corpus, labels = numbered(lengths), list(range(len(lengths)))
    batches = DocumentBatches(corpus, labels, batch_size, bptt, backwards)
    found = list(batches.evaluation())
    assert len(found) == batches.evaluation_batches
    for batch in found:
        assert batch.tokens.shape[2] == batch_size
        check_layout(batch, corpus, labels, bptt, backwards)
    documents = np.concatenate([batch.documents for batch in found])
    assert sorted(documents[: len(corpus)]) == list(range(len(corpus)))
    assert np.all(documents[len(corpus) :] == -1)
    ordered = np.concatenate([batch.lengths for batch in found])
    assert np.all(np.diff(ordered) <= 0)


@given(lengths_of_documents, st.integers(1, 9), st.integers(1, 12), st.integers(0, 3), st.data())
def test_training_equals_the_slow_twin_from_every_start(lengths, batch_size, bptt, epoch, data):
    corpus, labels = numbered(lengths), list(range(len(lengths)))
    batches = DocumentBatches(corpus, labels, batch_size, bptt, seed=5)
    expected = training_order([max(n, 1) for n in lengths], batch_size, 5, epoch)
    if len(lengths) >= batch_size:
        expected = [batch for batch in expected if len(batch) == batch_size]
    assert batches.batches_per_epoch == len(expected)
    start = data.draw(st.integers(0, len(expected)))
    found = list(batches.training_epoch(epoch, start))
    assert len(found) == len(expected) - start
    for batch, indices in zip(found, expected[start:], strict=True):
        check_layout(batch, corpus, labels, bptt, backwards=False)
        assert batch.documents[batch.documents >= 0].tolist() == indices


@given(lengths=lengths_of_documents, batch_size=st.integers(1, 7), bptt=st.integers(1, 9), epoch=st.integers(0, 3))
def test_shapes_of_batches_are_known_without_making_them(lengths, batch_size, bptt, epoch):
    batches = DocumentBatches(numbered(lengths), None, batch_size, bptt, seed=4)
    longest, found = batches.longest_of_training(epoch), list(batches.training_epoch(epoch))
    assert longest == [int(batch.lengths.max()) for batch in found]
    assert [batches.shape(tokens) for tokens in longest] == [batch.tokens.shape[:2] for batch in found]
    for tokens, batch in zip(longest, found, strict=True):
        begun = (batch.tokens != PAD_ID).any(axis=(1, 2))
        assert batches.computed(tokens) == begun.sum() * batch.tokens.shape[1]


def test_other_documents_fill_no_batch_in_each_epoch():
    """The shortest are not left out again and again, and the longest never."""
    lengths = list(range(1, 22))
    batches = DocumentBatches(numbered(lengths), None, batch_size=8, bptt=72, seed=1)
    left_out = []
    for epoch in range(12):
        read = {int(n) for batch in batches.training_epoch(epoch) for n in batch.documents}
        assert len(read) == 16
        left_out.append(frozenset(range(21)) - read)
    assert frozenset.union(*left_out) == frozenset(range(20))
    assert not frozenset.intersection(*left_out)


def test_pieces_longer_than_fifty_batches_are_sorted_apart():
    lengths = np.random.default_rng(0).integers(1, 200, 330).tolist()
    batches = DocumentBatches(numbered(lengths), None, batch_size=2, bptt=72)
    found = [batch.documents.tolist() for batch in batches.training_epoch(0)]
    assert found == training_order(lengths, 2, 0, 0)
    assert int(np.argmax(lengths)) in found[0]


def test_an_epoch_is_a_function_of_the_seed_and_its_number():
    corpus = numbered(list(range(1, 60)))

    def order(seed: int, epoch: int) -> list[list[int]]:
        return [batch.documents.tolist() for batch in DocumentBatches(corpus, None, 4, seed=seed).training_epoch(epoch)]

    assert order(0, 1) == order(0, 1)
    assert order(0, 1) != order(0, 2)
    assert order(0, 1) != order(1, 1)


def test_fewer_documents_than_rows_are_one_batch_with_filler():
    [batch] = DocumentBatches(numbered([3, 5]), [1, 0], batch_size=4, bptt=2).training_epoch(0)
    assert batch.documents.tolist() == [1, 0, -1, -1]
    assert batch.lengths.tolist() == [5, 3, 0, 0]
    assert batch.labels.tolist() == [0, 1, -1, -1]
    assert np.all(batch.tokens[:, :, 2:] == PAD_ID)


def test_no_labels_are_minus_one():
    [batch] = DocumentBatches(numbered([3, 5]), None, batch_size=2).evaluation()
    assert batch.labels.tolist() == [-1, -1]


@given(st.integers(1, 5000))
def test_buckets_bound_the_padding(max_chunks):
    buckets = chunk_buckets(max_chunks)
    assert buckets[-1] >= max_chunks
    assert len(buckets) == 1 or buckets[-2] < max_chunks
    assert all(b == 4 * a for a, b in pairwise(buckets))
    assert buckets == chunk_buckets(10_000)[: len(buckets)]
    assert len(buckets) <= 8


def test_the_buckets():
    assert chunk_buckets(100) == (2, 8, 32, 128)
    assert chunk_buckets(1) == (2,)


def test_short_documents_have_short_chunks():
    assert short_chunks(72) == (18, 36, 72)
    assert short_chunks(1) == (1,)
    corpus = numbered([3, 18, 19, 36, 37, 72, 73, 145])
    found = {
        int(batch.lengths.max()): batch.tokens.shape[:2] for batch in DocumentBatches(corpus, None, 1).evaluation()
    }
    expected = {3: (1, 18), 18: (1, 18), 19: (1, 36), 36: (1, 36), 37: (1, 72), 72: (1, 72), 73: (2, 72), 145: (8, 72)}
    assert found == expected


def test_errors():
    corpus = numbered([3, 5])
    with pytest.raises(DataError, match="2 documents and 1 label;"):
        DocumentBatches(corpus, [0], 2)
    with pytest.raises(DataError, match="no documents"):
        DocumentBatches(Corpus.from_arrays([]), None, 2)
    for options in ({"batch_size": 0}, {"batch_size": 1, "bptt": 0}, {"batch_size": 1, "seed": -1}):
        with pytest.raises(ConfigError):
            DocumentBatches(corpus, None, **options)
    for epoch, start in ((-1, 0), (0, 2), (0, -1)):
        with pytest.raises(ConfigError, match="have 1 batches"):
            DocumentBatches(corpus, None, 2).training_epoch(epoch, start)
    with pytest.raises(ConfigError):
        chunk_buckets(0)


def test_chosen_buckets_are_kept_and_reach_the_longest_document():
    corpus = Corpus.from_arrays([np.full(length, 9, np.uint16) for length in (3, 10, 21)])
    for chosen, found in (((2, 8), (2, 8)), ((2,), (2, 6)), ((6,), (6,))):
        batches = DocumentBatches(corpus, None, 1, 4, buckets=chosen)
        assert batches.buckets == found
        assert [batches.shape(tokens) for tokens in (1, 3, 4)] == [(found[0], 4)] * 3
    for wrong in ((), (0, 2), (4, 2), (2, 2)):
        with pytest.raises(ConfigError, match="buckets are"):
            DocumentBatches(corpus, None, 1, 4, buckets=wrong)
