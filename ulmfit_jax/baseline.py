"""The baseline that every report shows: TF-IDF over words and word pairs with logistic regression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_MOST_WEIGHTS = 2**24
"""Words and pairs times classes. The solver holds some 25 numbers of 64 bits for each: 3 GB at most. 25,000 reviews of
two classes have not a fifth of it."""


def tfidf_accuracy(
    train_texts: Sequence[str], train_labels: Sequence[str], test_texts: Sequence[str], test_labels: Sequence[str]
) -> float:
    """Test accuracy of `tfidf_model` on the same split.

    Raises:
        ValueError: scikit-learn finds no words in the training texts.
    """
    return float(tfidf_model(train_texts, train_labels).score(test_texts, test_labels))


def tfidf_model(texts: Sequence[str], labels: Sequence[str]) -> Any:
    """A fitted scikit-learn pipeline: TF-IDF (1-2-grams, sublinear counts) and logistic regression (C = 10).

    A strong form of the baseline: every word and pair counts, and C = 10 is better on reviews than scikit-learn's 1.
    Of so many classes that memory would not hold the weights of all, the most frequent words and pairs count.

    Raises:
        ValueError: scikit-learn finds no words in the texts.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    most = _MOST_WEIGHTS // max(len(set(labels)), 1)
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=most)
    return make_pipeline(words, LogisticRegression(C=10, max_iter=1000)).fit(texts, labels)


def tfidf_labels(texts: Sequence[str], indicators: np.ndarray, others: Sequence[str]) -> np.ndarray:
    """Which labels the same models give `others`, `[others, classes]` bool: one model for each label.

    Args:
        texts: texts to learn from.
        indicators: 1 where a label applies, `[texts, classes]`; a label that all or none of them has is given to all
            or none.
        others: texts to answer on.

    Raises:
        ValueError: scikit-learn finds no words in the texts.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    features, other_features = vectorizer.fit_transform(texts), vectorizer.transform(others)
    given = np.zeros((len(others), indicators.shape[1]), bool)
    for column in range(indicators.shape[1]):
        truth = indicators[:, column] > 0
        if truth.all() or not truth.any():
            given[:, column] = truth.all()
        else:
            given[:, column] = LogisticRegression(C=10, max_iter=1000).fit(features, truth).predict(other_features)
    return given
