"""The table of n-grams against counting them one by one."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulmfit_jax import DataError
from ulmfit_jax.ngram_table import NOTHING, NgramTable, learnt_ngrams

DOCUMENTS = st.lists(st.lists(st.integers(0, 5), max_size=12), min_size=1, max_size=8)


def ngrams(document: list[int], longest: int) -> Counter[tuple[int, ...]]:
    return Counter(
        tuple(document[start : start + length])
        for length in range(1, longest + 1)
        for start in range(len(document) - length + 1)
    )


def named(table: NgramTable) -> list[tuple[int, ...]]:
    return [tuple(token for token in row if token != NOTHING) for row in table.ngrams.tolist()]


@given(DOCUMENTS, DOCUMENTS, st.integers(1, 4), st.integers(1, 3))
def test_the_ngrams_of_enough_documents_and_how_often_they_are_in_others(train, others, longest, min_documents):
    each = [ngrams(document, longest) for document in train]
    frequencies = Counter(name for counts in each for name in counts)
    expected = {name for name, count in frequencies.items() if count >= min_documents}
    arrays = [np.array(document, np.int32) for document in train]
    if not expected:
        with pytest.raises(DataError, match="no token is in enough"):
            learnt_ngrams(arrays, longest, min_documents)
        return
    rows, counts = learnt_ngrams(arrays, longest, min_documents)
    table = NgramTable(rows)
    assert (counts != table.counts(arrays)).nnz == 0
    names = named(table)
    assert len(names) == len(set(names))
    assert set(names) == expected
    others = [*others, [7, 0, 1, 7]]  # a token that training had not
    found = table.counts([np.array(document, np.int16) for document in others]).toarray()
    for document, row in zip(others, found, strict=True):
        expected_counts = ngrams(document, longest)
        assert row.tolist() == [expected_counts[name] for name in names]


def test_the_order_of_the_ngrams_is_their_callers() -> None:
    """Models of earlier versions have theirs in another one."""
    table = NgramTable(np.array([[3, 4, NOTHING], [4, NOTHING, NOTHING], [3, 4, 3], [3, NOTHING, NOTHING]], np.int32))
    assert table.counts([np.array([3, 4, 3, 4, 4])]).toarray().tolist() == [[2, 3, 1, 2]]
    assert table.counts([]).shape == (0, 4)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "there are no n-grams"),
        ([[3, NOTHING], [3, NOTHING]], "twice"),
        ([[3, NOTHING], [4, 3]], "begins with one that is not there"),
        ([[3, NOTHING], [NOTHING, 3]], "with a hole"),
        ([[3, NOTHING], [NOTHING, NOTHING]], "without tokens"),
        ([[3, NOTHING], [3, -2]], "with a hole"),
    ],
)
def test_what_is_no_table_is_refused(rows: list[list[int]], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        NgramTable(np.array(rows, np.int32))
