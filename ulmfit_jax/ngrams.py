"""A linear classifier over the n-grams of a model's own tokens: the second teacher of self-training.

TF-IDF of tokens and pairs of tokens, each feature times its naive-Bayes log-count ratio, then logistic regression
("Baselines and Bigrams", Wang & Manning 2012, with TF-IDF in place of presence). It needs no idea of what a word is, so
it serves every language, DNA and logs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.integer[Any]]


def ngram_log_probabilities(
    documents: Sequence[Ids], labels: Sequence[int] | np.ndarray, others: Sequence[Ids], n_classes: int
) -> np.ndarray:
    """Log probabilities `[others, n_classes]` float64 by a model of `documents`.

    More than two classes: one model for each against the rest, and the softmax of their scores. A class that no label
    names has the smallest probability that a float32 can hold.

    Args:
        documents: token ids of the labelled documents.
        labels: index of each one's class.
        others: token ids of the documents to classify.
        n_classes: number of classes.
    """
    from scipy.special import log_softmax
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer=_ngrams, sublinear_tf=True)
    features, other_features = vectorizer.fit_transform(documents), vectorizer.transform(others)
    labels = np.asarray(labels)
    known = np.unique(labels)
    result = np.full((len(others), n_classes), np.log(np.finfo(np.float32).tiny))
    if len(known) == 1:
        columns = np.zeros((len(others), 1))
    elif len(known) == 2:
        scores = _scores(features, labels == known[1], other_features)
        columns = np.stack([np.zeros_like(scores), scores], axis=1)
    else:
        columns = np.stack([_scores(features, labels == label, other_features) for label in known], axis=1)
    result[:, known] = log_softmax(columns, axis=1)
    return result


def cross_validated_classes(
    documents: Sequence[Ids], labels: Sequence[int] | np.ndarray, n_classes: int, *, folds: int = 5, seed: int = 0
) -> np.ndarray:
    """What such models say of documents whose own labels they have not seen, `[documents]` int64.

    The documents of each class are spread over `folds` parts at random; each part is classified by a model of the
    others.
    """
    labels = np.asarray(labels)
    generator = np.random.default_rng(seed)
    part = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        part[rows] = (generator.permutation(len(rows)) + generator.integers(folds)) % folds
    result = np.zeros(len(labels), np.int64)
    for number in np.unique(part):
        inside, outside = np.flatnonzero(part == number), np.flatnonzero(part != number)
        log_probabilities = ngram_log_probabilities(
            [documents[int(i)] for i in outside], labels[outside], [documents[int(i)] for i in inside], n_classes
        )
        result[inside] = log_probabilities.argmax(axis=1)
    return result


def _ngrams(ids: Ids) -> list[str]:
    names = [str(number) for number in ids.tolist()]
    return [*names, *(f"{first} {second}" for first, second in pairwise(names))]


def _scores(features: Any, positive: np.ndarray, others: Any) -> np.ndarray:
    """Log odds `[others]` of a class against the rest."""
    from scipy.sparse import diags_array
    from sklearn.linear_model import LogisticRegression

    present = (features > 0).astype(np.float64)
    counts = [1 + np.asarray(present[rows].sum(axis=0)).ravel() for rows in (positive, ~positive)]
    shares = [count / count.sum() for count in counts]
    ratio = diags_array(np.log(shares[0] / shares[1]))
    model = LogisticRegression(C=10, max_iter=1000).fit(features @ ratio, positive)
    return model.decision_function(others @ ratio)
