from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracles.language_model_stream import language_model_batches
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.data.stream import LanguageModelStream
from ulmfit_jax.errors import ConfigError, DataError


def numbered(lengths: list[int]) -> Corpus:
    """Documents in which every token is another."""
    ends = np.cumsum([0, *lengths])
    return Corpus.from_arrays([np.arange(start, end) for start, end in pairwise(ends)])


@given(
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=20).filter(lambda lengths: sum(lengths) > 8),
    batch_size=st.integers(1, 7),
    bptt=st.integers(1, 30),
    backwards=st.booleans(),
    shuffle=st.booleans(),
    epoch=st.integers(0, 5),
    data=st.data(),
)
def test_it_equals_the_slow_twin_from_every_start(lengths, batch_size, bptt, backwards, shuffle, epoch, data):
    corpus = numbered(lengths)
    stream = LanguageModelStream(corpus, batch_size, bptt, backwards, shuffle, seed=3)
    expected = language_model_batches(list(corpus), stream.document_order(epoch), batch_size, bptt, backwards)
    assert stream.batches_per_epoch == len(expected)
    assert stream.tokens_per_epoch == sum(len(inputs) * batch_size for inputs, _ in expected)
    start = data.draw(st.integers(0, len(expected)))
    found = list(stream.epoch(epoch, start))
    assert len(found) == len(expected) - start
    for (inputs, targets), (expected_inputs, expected_targets) in zip(found, expected[start:], strict=True):
        assert inputs.dtype == targets.dtype == np.int32
        assert inputs.flags.c_contiguous
        assert targets.flags.c_contiguous
        assert inputs.tolist() == expected_inputs
        assert targets.tolist() == expected_targets


def test_the_layout_of_fastai_by_hand():
    stream = LanguageModelStream(numbered([5, 6]), batch_size=2, bptt=3)
    batches = [(inputs.tolist(), targets.tolist()) for inputs, targets in stream.epoch(0)]
    assert batches == [
        ([[0, 5], [1, 6], [2, 7]], [[1, 6], [2, 7], [3, 8]]),
        ([[3, 8], [4, 9]], [[4, 9], [5, 10]]),
    ]


def test_an_epoch_is_a_function_of_the_seed_and_its_number():
    corpus = numbered([7] * 30)

    def tokens(seed: int, epoch: int) -> list[list[int]]:
        stream = LanguageModelStream(corpus, 4, 10, shuffle=True, seed=seed)
        return [inputs.tolist() for inputs, _ in stream.epoch(epoch)]

    assert tokens(0, 1) == tokens(0, 1)
    assert tokens(0, 1) != tokens(0, 2)
    assert tokens(0, 1) != tokens(1, 1)


def test_unshuffled_epochs_are_all_the_same():
    stream = LanguageModelStream(numbered([7] * 30), 4, 10)
    assert list(stream.document_order(0)) == list(stream.document_order(5)) == list(range(30))


def test_it_reads_a_memory_map_without_copying_it(tmp_path):
    np.arange(1000, dtype=np.uint16).tofile(tmp_path / "tokens")
    tokens = np.memmap(tmp_path / "tokens", dtype=np.uint16, mode="r")
    corpus = Corpus(tokens, np.array([0, 400, 1000]))
    assert np.shares_memory(corpus.tokens, tokens)
    inputs, _ = next(LanguageModelStream(corpus, 3, 10).epoch(0))
    assert inputs[0].tolist() == [0, 333, 666]


@pytest.mark.parametrize("total", [0, 1, 8])
def test_too_small_a_corpus_says_its_size(total):
    with pytest.raises(DataError, match=f"has {total} tokens.*batch of 8"):
        LanguageModelStream(numbered([total]), batch_size=8)


def test_the_smallest_corpus():
    stream = LanguageModelStream(numbered([9]), batch_size=8)
    assert [inputs.tolist() for inputs, _ in stream.epoch(0)] == [[list(range(8))]]


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"bptt": 0}, {"seed": -1}])
def test_options_out_of_range(options):
    with pytest.raises(ConfigError):
        LanguageModelStream(numbered([1000]), **options)


@pytest.mark.parametrize(("epoch", "start"), [(-1, 0), (0, -1), (0, 3)])
def test_starts_out_of_range(epoch, start):
    stream = LanguageModelStream(numbered([41]), batch_size=2, bptt=10)
    with pytest.raises(ConfigError, match="have 2 batches"):
        stream.epoch(epoch, start)
