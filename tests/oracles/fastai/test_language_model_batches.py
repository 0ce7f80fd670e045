"""The language model's batches against fastai's `LMDataLoader`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracles.fastai.reference import fastai, torch
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.data.stream import LanguageModelStream

Batches = list[tuple[list[list[int]], list[list[int]]]]


def numbered(lengths: list[int]) -> list[np.ndarray]:
    """Documents in which every token is another."""
    return np.split(np.arange(sum(lengths)), np.cumsum(lengths)[:-1])


def fastai_batches(documents: list[np.ndarray], batch_size: int, bptt: int, backwards: bool = False) -> Batches:
    """All (inputs, targets), each [time][batch]."""
    texts = [fastai.TensorText(torch.tensor(document)) for document in documents]
    if backwards:
        texts = [fastai.reverse_text(text) for text in texts]
    loader = fastai.LMDataLoader(texts, bs=batch_size, seq_len=bptt, shuffle=False)
    return [(inputs.T.tolist(), targets.T.tolist()) for inputs, targets in loader]


def our_batches(stream: LanguageModelStream, epoch: int = 0) -> Batches:
    return [(inputs.tolist(), targets.tolist()) for inputs, targets in stream.epoch(epoch)]


@given(
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=12).filter(lambda lengths: sum(lengths) > 8),
    batch_size=st.integers(1, 7),
    bptt=st.integers(1, 30),
    backwards=st.booleans(),
)
def test_drawn_corpora(lengths: list[int], batch_size: int, bptt: int, backwards: bool) -> None:
    documents = numbered(lengths)
    stream = LanguageModelStream(Corpus.from_arrays(documents), batch_size, bptt, backwards)
    expected = fastai_batches(documents, batch_size, bptt, backwards)
    assert our_batches(stream) == expected
    assert stream.batches_per_epoch == len(expected)


@pytest.mark.parametrize("row_length", [71, 72, 73, 143, 144, 145, 216])
def test_default_sizes_about_the_borders_of_the_last_batch(row_length: int) -> None:
    for left_over in (0, 63):
        documents = numbered([64 * row_length - 100, 101 + left_over])
        stream = LanguageModelStream(Corpus.from_arrays(documents))
        batches = our_batches(stream)
        loader = fastai.LMDataLoader([torch.tensor(document) for document in documents], shuffle=False)
        assert batches == [(inputs.T.tolist(), targets.T.tolist()) for inputs, targets in loader]
        assert len(batches[-1][0]) == loader.last_len == (row_length - 1) % 72 + 1


def test_a_shuffled_epoch_is_fastais_reading_of_the_documents_in_that_order() -> None:
    documents = numbered([7, 1, 12, 3, 9, 20])
    stream = LanguageModelStream(Corpus.from_arrays(documents), 3, 4, shuffle=True, seed=1)
    orders = [stream.document_order(epoch).tolist() for epoch in range(3)]
    assert len({tuple(order) for order in [*orders, range(6)]}) == 4
    for epoch, order in enumerate(orders):
        assert our_batches(stream, epoch) == fastai_batches([documents[i] for i in order], 3, 4)


def test_the_backward_block_reverses_each_text_after_its_ids_are_known() -> None:
    block = fastai.TextBlock(str.split, vocab=["a", "b", "c", "d"], is_lm=True, backwards=True)
    tokenize, numericalize, *rest = block.type_tfms
    assert rest == [fastai.reverse_text]
    texts = ["a b c", "d a", "b c d d"]
    stream = LanguageModelStream(
        Corpus.from_arrays([numericalize(tokenize(text)).numpy() for text in texts]), 2, 3, backwards=True
    )
    loader = block.dl_type([rest[0](numericalize(tokenize(text))) for text in texts], bs=2, seq_len=3)
    assert our_batches(stream) == [(inputs.T.tolist(), targets.T.tolist()) for inputs, targets in loader]
    assert our_batches(stream)[0][0] == [[2, 3], [1, 3], [0, 3]]
