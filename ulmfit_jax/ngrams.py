"""A linear classifier over the n-grams of a model's own tokens: the second teacher of self-training, and a second voice
beside networks (`ulmfit_jax.ensemble`).

TF-IDF of sequences of up to four tokens, each feature times its naive-Bayes log-count ratio, then logistic regression
("Baselines and Bigrams", Wang & Manning 2012, with TF-IDF in place of presence). It needs no idea of what a word is, so
it serves every language, DNA and logs. Four tokens, since a token is often but a part of a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ulmfit_jax.folds import FOLDS, fold_of_each
from ulmfit_jax.ngram_table import Ids, NgramTable, check_ngrams, learnt_ngrams

INVERSE_PENALTY = 30.0
"""Inverse strength of the L2 penalty, scikit-learn's C (experiments/README.md)."""

_SMALLEST = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class NgramModel:
    """A fitted model, as plain arrays.

    Attributes:
        ngrams: the tokens of each feature, `[features, longest]` int32, -1 after the last one; see `NgramTable`.
        inverse_frequencies: inverse document frequency of each, `[features]` float32.
        weights: what a feature adds to each score, `[features, scores]` float32.
        intercepts: `[scores]` float32.
        known: the classes that were among the labels, sorted. One score, the log odds of the second one, if there are
            two of them, none for a single one, otherwise a score for each.
        n_classes: number of classes.
        multi_label: a score for each class, its log odds, whatever the others are.
    """

    ngrams: NDArray[np.int32]
    inverse_frequencies: NDArray[np.float32]
    weights: NDArray[np.float32]
    intercepts: NDArray[np.float32]
    known: NDArray[np.int32]
    n_classes: int
    multi_label: bool = False

    def log_probabilities(self, documents: Sequence[Ids]) -> np.ndarray:
        """Log probabilities `[documents, n_classes]` float64 of token ids.

        More than two classes: the softmax of the scores. A class that no label named has the smallest probability that
        a float32 can hold.
        """
        return self.of_counts(self.table.counts(documents))

    def of_counts(self, counts: Any) -> np.ndarray:
        """The same, where it has been counted how often each n-gram is in each document, `[documents, features]`."""
        from scipy.special import log_expit, log_softmax

        if not counts.shape[0]:  # which scikit-learn refuses
            return np.zeros((0, self.n_classes))
        scores = _tfidf(counts, self.inverse_frequencies) @ self.weights.astype(np.float64) + self.intercepts
        if self.multi_label:
            found: np.ndarray = log_expit(scores)
            return found
        if len(self.known) < 3:
            scores = np.concatenate([np.zeros((len(scores), 1)), scores], axis=1)
        result = np.full((len(scores), self.n_classes), np.log(_SMALLEST))
        result[:, self.known] = log_softmax(scores, axis=1)
        return result

    @cached_property
    def table(self) -> NgramTable:
        """Finds the n-grams in documents."""
        return NgramTable(self.ngrams)


def fitted_ngrams(
    documents: Sequence[Ids],
    targets: Sequence[int] | np.ndarray,
    n_classes: int,
    *,
    longest: int | None = None,
    inverse_penalty: float = INVERSE_PENALTY,
    min_documents: int | None = None,
) -> NgramModel:
    """Fit a model: one for two classes, one for each against the rest of them, or one for each label.

    Args:
        documents: token ids of the labelled documents.
        targets: index of each one's class, or, where a text may have several labels, indicators `[documents, classes]`.
        n_classes: number of classes.
        longest: tokens of the longest n-grams; None chooses by the amount of text.
        inverse_penalty: inverse strength of the L2 penalty.
        min_documents: n-grams of fewer documents are left out; None chooses likewise.

    Raises:
        DataError: no n-gram is in so many documents.
    """
    counted = counted_ngrams(documents, longest, min_documents)
    return counted.fitted(np.asarray(targets), n_classes, inverse_penalty)


def counted_ngrams(
    documents: Sequence[Ids], longest: int | None = None, min_documents: int | None = None
) -> CountedNgrams:
    """Count the n-grams of documents, for one model or several; the arguments are those of `fitted_ngrams`.

    Raises:
        DataError: no n-gram is in so many documents.
    """
    chosen = suitable_extent(documents)
    least = min_documents or chosen.min_documents
    return CountedNgrams(*learnt_ngrams(documents, longest or chosen.longest, least), least)


class Extent(NamedTuple):
    """Which n-grams count: the tokens of the longest ones, and in how many documents each must be."""

    longest: int
    min_documents: int


def suitable_extent(documents: Sequence[Ids]) -> Extent:
    """Which n-grams are worth their place (experiments/README.md).

    In few documents three tokens in a row hardly ever recur. The more text, the more n-grams recur by chance: each must
    be in two documents, and one more for each 1.5 million tokens; but in 10,000 tokens also a single place counts.
    """
    tokens = sum(len(document) for document in documents)
    return Extent(2 if len(documents) < 1000 else 4, 1 if tokens < 10_000 else 2 + tokens // 1_500_000)


def _fitted(
    ngrams: NDArray[np.int32],
    counts: Any,
    targets: np.ndarray,
    n_classes: int,
    inverse_penalty: float = INVERSE_PENALTY,
) -> NgramModel:
    """Fit a model to counts of these n-grams, `[documents, features]`."""
    multi_label = targets.ndim == 2
    known = np.arange(n_classes) if multi_label else np.unique(targets)
    if multi_label:
        questions = list(targets.T > 0)
    else:
        questions = [targets == label for label in (known[1:] if len(known) < 3 else known)]
    inverse_frequencies = np.log((1 + len(targets)) / (1 + _frequencies(counts))) + 1
    features = _tfidf(counts, inverse_frequencies)
    answers = [_weights(features, positive, inverse_penalty) for positive in questions]
    columns = [np.zeros((features.shape[1], 0)), *(weights[:, None] for weights, _ in answers)]
    return NgramModel(
        ngrams=ngrams,
        inverse_frequencies=inverse_frequencies.astype(np.float32),
        weights=np.concatenate(columns, axis=1).astype(np.float32),
        intercepts=np.array([intercept for _, intercept in answers], np.float32),
        known=known.astype(np.int32),
        n_classes=n_classes,
        multi_label=multi_label,
    )


@dataclass(frozen=True)
class CountedNgrams:
    """How often each n-gram is in each document.

    Attributes:
        ngrams: as in `NgramModel`.
        counts: sparse `[documents, features]` float64, without explicit zeros.
        min_documents: in how many documents an n-gram must be to count.
    """

    ngrams: NDArray[np.int32]
    counts: Any
    min_documents: int

    def fitted(self, targets: np.ndarray, n_classes: int, inverse_penalty: float = INVERSE_PENALTY) -> NgramModel:
        """A model of all documents; see `fitted_ngrams`."""
        return _fitted(self.ngrams, self.counts, targets, n_classes, inverse_penalty)

    def cross_validated(self, targets: np.ndarray, n_classes: int, folds: int = FOLDS, seed: int = 0) -> np.ndarray:
        """What models of other documents say of each; see `cross_validated_log_probabilities`."""
        part = fold_of_each(targets if targets.ndim == 1 else np.zeros(len(targets), np.int64), folds, seed)
        result = np.zeros((len(targets), n_classes))
        for number in np.unique(part):
            inside, outside = self.counts[part == number], self.counts[part != number]
            known = np.flatnonzero(_frequencies(outside) >= self.min_documents)
            check_ngrams(len(known))
            model = _fitted(self.ngrams[known], outside[:, known], targets[part != number], n_classes)
            result[part == number] = model.of_counts(inside[:, known])
        return result


def cross_validated_log_probabilities(
    documents: Sequence[Ids],
    targets: Sequence[int] | np.ndarray,
    n_classes: int,
    *,
    folds: int = FOLDS,
    seed: int = 0,
) -> np.ndarray:
    """What such models say of documents whose own labels they have not seen, `[documents, n_classes]` float64.

    The documents of each class are spread over `folds` parts at random; each part is classified by a model of the
    others. Where a text may have several labels, all documents are spread alike.

    Raises:
        DataError: outside of a fold no n-gram is in enough documents.
    """
    return counted_ngrams(documents).cross_validated(np.asarray(targets), n_classes, folds, seed)


def _frequencies(counts: Any) -> NDArray[np.int64]:
    """In how many documents each n-gram is, of counts without explicit zeros."""
    return np.bincount(counts.indices, minlength=counts.shape[1])


def _tfidf(counts: Any, inverse_frequencies: np.ndarray) -> Any:
    """1 + the logarithm of each count, times the weight of its feature, in rows of length 1; sparse, as the counts."""
    from sklearn.preprocessing import normalize

    values = counts.copy()
    values.data = (1 + np.log(values.data)) * inverse_frequencies.astype(np.float64)[values.indices]
    return normalize(values, copy=False)


def _weights(features: Any, positive: np.ndarray, inverse_penalty: float) -> tuple[np.ndarray, float]:
    """What each feature adds to the log odds of a class against the rest, `[features]`, and what is added to all.

    A class of all documents, or of none, has the log odds of their numbers with half a document more on each side.
    """
    from sklearn.linear_model import LogisticRegression

    if positive.all() or not positive.any():
        return np.zeros(features.shape[1]), float(np.log((positive.sum() + 0.5) / ((~positive).sum() + 0.5)))
    present = (features > 0).astype(np.float64)
    counts = [1 + np.asarray(present[rows].sum(axis=0)).ravel() for rows in (positive, ~positive)]
    shares = [count / count.sum() for count in counts]
    ratio = np.log(shares[0] / shares[1])
    model = LogisticRegression(C=inverse_penalty, max_iter=1000).fit(features.multiply(ratio).tocsr(), positive)
    return model.coef_[0] * ratio, float(model.intercept_[0])
