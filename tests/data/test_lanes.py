"""Documents in lanes: each is read once, as it is, and nearly nothing else is."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracles.documents import first_pooled
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.data.lanes import DocumentLanes, cheapest_lanes
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.text.rules import BOS_ID, PAD_ID


def numbered(lengths: list[int]) -> Corpus:
    """Documents in which every token is another, none a special one."""
    ends = np.cumsum([9, *lengths])
    return Corpus.from_arrays([np.arange(start, end) for start, end in pairwise(ends)])


@given(
    lengths=st.lists(st.integers(0, 60), min_size=1, max_size=30),
    lanes=st.integers(1, 6),
    bptt=st.integers(1, 12),
    max_length=st.integers(1, 40),
    backwards=st.booleans(),
)
def test_every_document_is_read_once_and_whole(
    lengths: list[int], lanes: int, bptt: int, max_length: int, backwards: bool
) -> None:
    corpus = numbered(lengths)
    made = DocumentLanes(corpus, lanes, bptt, max_length, backwards)
    blocks = list(made)
    assert len(blocks) == made.blocks
    tokens, pooled, ends = (
        np.concatenate([getattr(block, name) for block in blocks]) for name in blocks[0]._fields[:3]
    )
    assert tokens.shape == (len(blocks) * bptt, lanes)
    finished = {
        document: (number * bptt + step, lane)
        for number, block in enumerate(blocks)
        for document, step, lane in block.finished.tolist()
    }
    assert sorted(finished) == list(range(len(lengths)))
    left = np.ones(tokens.shape, bool)
    for document, (last, lane) in finished.items():
        expected = corpus[document].tolist() or [BOS_ID]
        rows = slice(last + 1 - len(expected), last + 1)
        assert tokens[rows, lane].tolist() == (expected[::-1] if backwards else expected)
        first = first_pooled(len(expected), bptt, max_length)
        assert pooled[rows, lane].tolist() == [position >= first for position in range(len(expected))]
        assert ends[rows, lane].tolist() == [False] * (len(expected) - 1) + [True]
        assert left[rows, lane].all(), "two documents at one place"
        left[rows, lane] = False
    assert np.all(tokens[left] == PAD_ID)
    assert not pooled[left].any()
    assert not ends[left].any()


@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=60), lanes=st.integers(1, 8))
def test_lanes_are_about_equally_long(lengths: list[int], lanes: int) -> None:
    """No lane is more than a third longer than the best there can be: what longest-first guarantees (Graham 1969)."""
    least = max(max(lengths), -(-sum(lengths) // lanes))
    assert DocumentLanes(numbered(lengths), lanes, bptt=1).blocks <= 4 / 3 * least + max(lengths) / 3


def test_few_or_long_documents_get_few_lanes() -> None:
    choices = [1, 2, 4, 8, 16, 32, 64]
    assert cheapest_lanes(np.array([300]), choices, idle=8) == 1
    assert cheapest_lanes(np.full(600, 300), choices, idle=8) == 64
    assert cheapest_lanes(np.array([3000, *[10] * 100]), choices, idle=8) == 2
    assert cheapest_lanes(np.array([100] * 3), choices, idle=8) == 4
    assert cheapest_lanes(np.array([100] * 3), choices, idle=0) == 1


@pytest.mark.parametrize("sizes", [{"lanes": 0}, {"bptt": 0}, {"max_length": 0}])
def test_sizes_are_positive(sizes: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        DocumentLanes(numbered([3]), **{"lanes": 1, **sizes})
