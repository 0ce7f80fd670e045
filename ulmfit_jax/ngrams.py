"""A linear classifier over the n-grams of a model's own tokens: the second teacher of self-training, and a second voice
beside networks (`ulmfit_jax.ensemble`).

TF-IDF of tokens and pairs of tokens, each feature times its naive-Bayes log-count ratio, then logistic regression
("Baselines and Bigrams", Wang & Manning 2012, with TF-IDF in place of presence). It needs no idea of what a word is, so
it serves every language, DNA and logs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.integer[Any]]

NOTHING = -1
"""In the place of a pair's second token, where a single token is meant."""

_SMALLEST = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class NgramModel:
    """A fitted model, as plain arrays.

    Attributes:
        ngrams: the token, or the two tokens, of each feature, `[features, 2]` int32.
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
        from scipy.special import log_expit, log_softmax

        scores = self._vectorizer.transform(documents) @ self.weights.astype(np.float64) + self.intercepts
        if self.multi_label:
            found: np.ndarray = log_expit(scores)
            return found
        if len(self.known) < 3:
            scores = np.concatenate([np.zeros((len(documents), 1)), scores], axis=1)
        result = np.full((len(documents), self.n_classes), np.log(_SMALLEST))
        result[:, self.known] = log_softmax(scores, axis=1)
        return result

    @cached_property
    def _vectorizer(self) -> Any:
        """Gives TF-IDF of documents, a sparse matrix `[documents, features]`."""
        vectorizer = _vectorizer(vocabulary={name: number for number, name in enumerate(_names(self.ngrams))})
        vectorizer.idf_ = self.inverse_frequencies.astype(np.float64)
        return vectorizer


def fitted_ngrams(
    documents: Sequence[Ids], targets: Sequence[int] | np.ndarray, n_classes: int, *, min_documents: int = 1
) -> NgramModel:
    """Fit a model: one for two classes, one for each against the rest of them, or one for each label.

    Args:
        documents: token ids of the labelled documents.
        targets: index of each one's class, or, where a text may have several labels, indicators `[documents, classes]`.
        n_classes: number of classes.
        min_documents: n-grams of fewer documents are left out, which makes the model smaller.

    Raises:
        ValueError: no n-gram is in so many documents.
    """
    vectorizer = _vectorizer(min_df=min_documents)
    features = vectorizer.fit_transform(documents)
    targets = np.asarray(targets)
    multi_label = targets.ndim == 2
    known = np.arange(n_classes) if multi_label else np.unique(targets)
    if multi_label:
        questions = list(targets.T > 0)
    else:
        questions = [targets == label for label in (known[1:] if len(known) < 3 else known)]
    answers = [_weights(features, positive) for positive in questions]
    columns = [np.zeros((features.shape[1], 0)), *(weights[:, None] for weights, _ in answers)]
    return NgramModel(
        ngrams=np.array([_pair(name) for name in vectorizer.get_feature_names_out()], np.int32),
        inverse_frequencies=vectorizer.idf_.astype(np.float32),
        weights=np.concatenate(columns, axis=1).astype(np.float32),
        intercepts=np.array([intercept for _, intercept in answers], np.float32),
        known=known.astype(np.int32),
        n_classes=n_classes,
        multi_label=multi_label,
    )


def cross_validated_log_probabilities(
    documents: Sequence[Ids],
    targets: Sequence[int] | np.ndarray,
    n_classes: int,
    *,
    min_documents: int = 1,
    folds: int = 5,
    seed: int = 0,
) -> np.ndarray:
    """What such models say of documents whose own labels they have not seen, `[documents, n_classes]` float64.

    The documents of each class are spread over `folds` parts at random; each part is classified by a model of the
    others. Where a text may have several labels, all documents are spread alike.
    """
    targets = np.asarray(targets)
    generator = np.random.default_rng(seed)
    groups = targets if targets.ndim == 1 else np.zeros(len(targets), np.int64)
    part = np.zeros(len(targets), np.int64)
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        part[rows] = (generator.permutation(len(rows)) + generator.integers(folds)) % folds
    result = np.zeros((len(targets), n_classes))
    for number in np.unique(part):
        inside, outside = np.flatnonzero(part == number), np.flatnonzero(part != number)
        learnt = [documents[int(i)] for i in outside]
        model = fitted_ngrams(learnt, targets[outside], n_classes, min_documents=min_documents)
        result[inside] = model.log_probabilities([documents[int(i)] for i in inside])
    return result


def _vectorizer(**options: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(analyzer=_ngrams, sublinear_tf=True, **options)


def _ngrams(ids: Ids) -> list[str]:
    names = [str(number) for number in ids.tolist()]
    return [*names, *(f"{first} {second}" for first, second in pairwise(names))]


def _names(ngrams: NDArray[np.int32]) -> list[str]:
    """The names that `_ngrams` gives them."""
    return [str(first) if second == NOTHING else f"{first} {second}" for first, second in ngrams.tolist()]


def _pair(name: str) -> tuple[int, int]:
    first, _, second = name.partition(" ")
    return int(first), int(second) if second else NOTHING


def _weights(features: Any, positive: np.ndarray) -> tuple[np.ndarray, float]:
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
    model = LogisticRegression(C=10, max_iter=1000).fit(features.multiply(ratio).tocsr(), positive)
    return model.coef_[0] * ratio, float(model.intercept_[0])
