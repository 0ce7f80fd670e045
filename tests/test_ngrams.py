"""The n-gram teacher against the same model written out with dense arrays."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from ulmfit_jax import DataError
from ulmfit_jax.ngram_table import NOTHING
from ulmfit_jax.ngrams import cross_validated_log_probabilities, fitted_ngrams, suitable_extent


def documents(count: int, seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.integers(3, 9, size=random.integers(2, 9)).astype(np.int32) for _ in range(count)]


def dense(train: list[np.ndarray], positive: np.ndarray, others: list[np.ndarray]) -> np.ndarray:
    """Log odds of a class against the rest, from the definitions."""

    def grams(ids: np.ndarray) -> list[tuple[int, ...]]:
        return [tuple(ids[i : i + n].tolist()) for n in (1, 2, 3, 4) for i in range(len(ids) - n + 1)]

    columns = sorted({gram for ids in train for gram in grams(ids)})

    def counts(texts: list[np.ndarray]) -> np.ndarray:
        return np.array([[grams(ids).count(gram) for gram in columns] for ids in texts], np.float64)

    seen = counts(train)
    inverse = np.log((1 + len(train)) / (1 + (seen > 0).sum(axis=0))) + 1

    def weighted(count: np.ndarray) -> np.ndarray:
        values = np.where(count > 0, 1 + np.log(np.maximum(count, 1)), 0) * inverse
        return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-300)

    shares = [1 + (seen[rows] > 0).sum(axis=0) for rows in (positive, ~positive)]
    ratio = np.log(shares[0] / shares[0].sum()) - np.log(shares[1] / shares[1].sum())
    model = LogisticRegression(C=30, max_iter=1000).fit(weighted(seen) * ratio, positive)
    return model.decision_function(weighted(counts(others)) * ratio)


def test_two_classes() -> None:
    train, others = documents(30, 0), documents(12, 1)
    labels = np.array([int(5 in ids) for ids in train])
    found = fitted_ngrams(train, labels, 2, longest=4, min_documents=1).log_probabilities(others)
    np.testing.assert_allclose(found[:, 1] - found[:, 0], dense(train, labels == 1, others), atol=1e-3)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1)
    assert (found.argmax(axis=1) == [int(5 in ids) for ids in others]).mean() > 0.7


def test_more_classes_of_which_one_has_no_label() -> None:
    train, others = documents(40, 2), documents(9, 3)
    labels = np.array([0 if 4 in ids else 1 if 7 in ids else 3 for ids in train])
    found = fitted_ngrams(train, labels, 4, longest=4, min_documents=1).log_probabilities(others)
    assert np.isfinite(found).all()
    assert found[:, 2].max() == pytest.approx(np.log(np.finfo(np.float32).tiny))
    odds = np.stack([dense(train, labels == label, others) for label in (0, 1, 3)], axis=1)
    expected = odds - np.log(np.exp(odds).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found[:, [0, 1, 3]], expected, atol=1e-3)


def test_cross_validation_has_not_seen_the_label_of_a_document() -> None:
    """Each document has a token of its own, by which a model that has seen its label knows it."""
    generator = np.random.default_rng(0)
    labels = generator.integers(2, size=200)
    unlearnable = [np.array([5, 6, 100 + number], np.int32) for number in range(200)]
    found = cross_validated_log_probabilities(unlearnable, labels, 2).argmax(axis=1)
    assert 0.3 < (found == labels).mean() < 0.7
    learnable = [np.array([5, 10 + label, 100 + number], np.int32) for number, label in enumerate(labels)]
    assert (cross_validated_log_probabilities(learnable, labels, 2).argmax(axis=1) == labels).all()


def test_cross_validation_of_a_class_with_one_document() -> None:
    texts = documents(9, 1)
    found = cross_validated_log_probabilities(texts, [0] * 8 + [1], 2)
    assert found.shape == (9, 2)
    assert np.isfinite(found).all()


def test_several_labels_a_text_are_a_question_each() -> None:
    train, others = documents(40, 4), documents(9, 5)
    indicators = np.array([[4 in ids, 7 in ids, True] for ids in train], np.int32)
    found = fitted_ngrams(train, indicators, 3, longest=4, min_documents=1).log_probabilities(others)
    for label in (0, 1):
        odds = dense(train, indicators[:, label] > 0, others)
        np.testing.assert_allclose(found[:, label], -np.log1p(np.exp(-odds)), atol=1e-3)
    np.testing.assert_allclose(found[:, 2], np.log(40.5 / 41), atol=1e-6)  # all of them have the third
    assert cross_validated_log_probabilities(train, indicators, 3).shape == (40, 3)


def test_rare_ngrams_are_left_out_where_that_is_wanted() -> None:
    train = [np.array(ids, np.int32) for ids in ([3, 4], [3, 4, 5], [6, 3], [6, 7])]
    model = fitted_ngrams(train, [0, 0, 1, 1], 2, min_documents=2)
    found = [[token for token in row if token != NOTHING] for row in model.ngrams.tolist()]
    assert sorted(found) == [[3], [3, 4], [4], [6]]
    assert model.log_probabilities([train[0], train[3], np.zeros(0, np.int32)]).argmax(axis=1)[:2].tolist() == [0, 1]
    with pytest.raises(DataError, match="no token is in enough of the labelled texts"):
        fitted_ngrams(train, [0, 0, 1, 1], 2, min_documents=4)


def test_the_more_text_the_longer_the_ngrams_and_the_more_often_each_is_there() -> None:
    short, long = np.zeros(10, np.int32), np.zeros(10_000, np.int32)
    few, many = ([suitable_extent([text] * count) for count in (999, 1000)] for text in (short, long))
    assert (few, many) == ([(2, 1), (4, 2)], [(2, 8), (4, 8)])
