"""Which n-grams there are, and how often each is in a document: sequences of one to several tokens, as numbers.

A longer n-gram is written as the number of the one that it begins with and one more token, so that a sorted array of
integers finds it, however long it is and however large the vocabulary. Nothing is lost by that: where an n-gram is in
enough documents, what it begins with is in as many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ulmfit_jax.errors import DataError

Ids = NDArray[np.integer[Any]]
Numbers = NDArray[np.int64]

NOTHING = -1
"""In the place of a token, where the n-gram is shorter than the longest."""


class NgramTable:
    """N-grams with a number each, the row of the array that they were given in."""

    def __init__(self, ngrams: NDArray[np.int32]):
        """Read the n-grams.

        Args:
            ngrams: tokens of each, `[n-grams, longest]`, `NOTHING` after the last one.

        Raises:
            ValueError: there are none, or one is there twice, has a hole or begins with one that is not there.
        """
        if ngrams.ndim != 2 or not ngrams.size:
            raise ValueError("there are no n-grams")
        self.ngrams = ngrams
        lengths = (ngrams != NOTHING).sum(axis=1)
        present = np.arange(ngrams.shape[1]) < lengths[:, None]
        if not (lengths > 0).all() or (ngrams[present] < 0).any() or (ngrams[~present] != NOTHING).any():
            raise ValueError("an n-gram without tokens, or with a hole")
        self._base = int(ngrams.max(initial=0)) + 1
        self._orders: list[_Order] = []
        for length in range(1, ngrams.shape[1] + 1):
            rows = np.flatnonzero(lengths == length)
            beginnings = np.zeros(len(rows), np.int64)
            for place, order in enumerate(self._orders):
                beginnings = order.numbers_of(beginnings * self._base + ngrams[rows, place])
                if (beginnings < 0).any():
                    raise ValueError("an n-gram begins with one that is not there")
            keys = beginnings * self._base + ngrams[rows, length - 1]
            if len(np.unique(keys)) < len(keys):
                raise ValueError("an n-gram is there twice")
            order_of_keys = np.argsort(keys)
            self._orders.append(_Order(keys[order_of_keys], rows[order_of_keys]))

    def counts(self, documents: Sequence[Ids]) -> Any:
        """How often each n-gram is in each document, a sparse matrix `[documents, n-grams]` float64."""
        from scipy.sparse import csr_matrix

        text = _laid_out(documents)
        at = np.zeros(len(text.tokens), np.int64)
        found = []
        for length, order in enumerate(self._orders, 1):
            starts = text.starts(at, length)
            last = text.tokens[starts + length - 1]
            numbers = np.where(last < self._base, order.numbers_of(at[starts] * self._base + last), NOTHING)
            at = np.full(len(text.tokens), NOTHING, np.int64)
            at[starts] = numbers
            known = numbers != NOTHING
            found.append((text.rows[starts[known]], numbers[known]))
        rows, columns = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(documents), len(self.ngrams)))


def learnt_ngrams(documents: Sequence[Ids], longest: int, min_documents: int) -> tuple[NDArray[np.int32], Any]:
    """All n-grams of up to `longest` tokens that are in `min_documents` documents or more, as `NgramTable` takes them,
    and how often each is in each document, as `NgramTable.counts` gives it.

    Raises:
        DataError: there are none.
    """
    from scipy.sparse import csr_matrix, hstack

    text = _laid_out(documents)
    base = int(text.tokens.max(initial=0)) + 1
    at = np.zeros(len(text.tokens), np.int64)
    ngrams = np.zeros((0, longest), np.int32)
    counts = []
    for length in range(1, longest + 1):
        starts = text.starts(at, length)
        keys, inverse = np.unique(at[starts] * base + text.tokens[starts + length - 1], return_inverse=True)
        shape = (len(documents), len(keys))
        found = csr_matrix((np.ones(len(starts)), (text.rows[starts], inverse)), shape=shape)
        kept = np.bincount(found.indices, minlength=len(keys)) >= min_documents
        counts.append(found[:, np.flatnonzero(kept)])
        beginnings, last = np.divmod(keys[kept], base)
        more = np.full((len(last), longest), NOTHING, np.int32)
        if length > 1:
            more[:] = ngrams[beginnings]
        more[:, length - 1] = last
        numbers = np.where(kept, len(ngrams) + np.cumsum(kept) - 1, NOTHING)
        at = np.full(len(text.tokens), NOTHING, np.int64)
        at[starts] = numbers[inverse]
        ngrams = np.concatenate([ngrams, more])
    check_ngrams(len(ngrams))
    return ngrams, hstack(counts, "csr")


def check_ngrams(count: int) -> None:
    """Refuse to learn from documents that have no n-gram in common.

    Raises:
        DataError: the count is 0.
    """
    if not count:
        raise DataError("n-grams cannot be learnt: no token is in enough of the labelled texts")


class _Order(NamedTuple):
    """The n-grams of one length: sorted keys, and the number of each."""

    keys: Numbers
    numbers: Numbers

    def numbers_of(self, keys: Numbers) -> Numbers:
        """Number of the n-gram of each key, or `NOTHING`."""
        if not len(self.keys):
            return np.full(len(keys), NOTHING, np.int64)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[places] == keys, self.numbers[places], NOTHING)


class _Text(NamedTuple):
    """Documents end to end: their tokens, and the document of each token."""

    tokens: Numbers
    rows: Numbers

    def starts(self, at: Numbers, length: int) -> Numbers:
        """Places where a known n-gram that is one token shorter begins and the document goes on.

        Args:
            at: number of the shorter n-gram that begins at each token, or `NOTHING`.
            length: of the n-grams that are looked for.
        """
        count = max(len(self.tokens) - length + 1, 0)
        return np.flatnonzero((at[:count] != NOTHING) & (self.rows[:count] == self.rows[length - 1 :]))


def _laid_out(documents: Sequence[Ids]) -> _Text:
    rows = np.repeat(np.arange(len(documents)), [len(document) for document in documents])
    return _Text(np.concatenate([np.zeros(0, np.int64), *documents]).astype(np.int64), rows)
