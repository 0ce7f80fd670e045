"""Measures against scikit-learn, by hand, and at the edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulmfit_jax.report.measures import agreement, calibration, class_scores, confusion_matrix, share_interval

PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40)


@given(pairs=PAIRS)
def test_confusion_and_scores_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    from sklearn import metrics

    truth, predicted = np.array(pairs).T
    matrix = confusion_matrix(truth, predicted, 5)
    np.testing.assert_array_equal(matrix, metrics.confusion_matrix(truth, predicted, labels=range(5)))
    scores = class_scores(matrix)
    expected = metrics.precision_recall_fscore_support(truth, predicted, labels=range(5), zero_division=np.nan)
    for ours, theirs in zip((scores.precision, scores.recall, scores.f1, scores.support), expected, strict=True):
        np.testing.assert_allclose(ours, theirs)
    assert scores.macro_f1 == pytest.approx(np.nanmean(expected[2]))


def test_scores_by_hand() -> None:
    scores = class_scores(np.array([[3, 1, 0], [2, 2, 0], [0, 0, 0]]))
    np.testing.assert_allclose(scores.precision, [3 / 5, 2 / 3, np.nan])
    np.testing.assert_allclose(scores.recall, [3 / 4, 1 / 2, np.nan])
    np.testing.assert_allclose(scores.f1, [6 / 9, 4 / 7, np.nan])
    assert (scores.support.tolist(), scores.answered.tolist()) == ([4, 4, 0], [5, 3, 0])
    assert scores.macro_f1 == pytest.approx((6 / 9 + 4 / 7) / 2)
    assert math.isnan(class_scores(np.zeros((2, 2), int)).macro_f1)


def test_calibration_curve_is_that_of_scikit_learn() -> None:
    from sklearn.calibration import calibration_curve

    random = np.random.default_rng(0)
    confidence = random.uniform(size=500)
    right = random.uniform(size=500) < confidence**2
    curve = calibration(confidence, right)
    accuracy, mean = calibration_curve(right, confidence, n_bins=15)
    np.testing.assert_allclose(curve.accuracy, accuracy)
    np.testing.assert_allclose(curve.confidence, mean)
    assert curve.error == pytest.approx((np.abs(accuracy - mean) * curve.counts).sum() / 500)
    assert curve.right.sum() == right.sum()


def test_calibration_by_hand() -> None:
    curve = calibration(np.array([0.55, 0.65, 0.65, 1.0]), np.array([True, True, False, False]), n_bins=10)
    assert curve.counts.tolist() == [0, 0, 0, 0, 0, 1, 2, 0, 0, 1]
    assert curve.error == pytest.approx((0.45 + 2 * 0.15 + 1.0) / 4)
    assert np.isnan(curve.accuracy[0])
    assert calibration(np.zeros(0), np.zeros(0, bool)).error == 0


def test_intervals_hold_the_share_and_narrow_with_the_count() -> None:
    low, high = share_interval(45, 50)
    centre, spread = (0.9 + 3.8415 / 100) / (1 + 3.8415 / 50), 1.96 * math.sqrt(0.9 * 0.1 / 50 + 3.8415 / 10_000)
    assert (low, high) == pytest.approx((centre - spread / 1.07683, centre + spread / 1.07683), abs=1e-4)
    assert share_interval(0, 0) == (0, 1)
    assert share_interval(4500, 5000)[0] > low


def test_agreement_counts_and_the_sign_test() -> None:
    first = np.array([True, True, True, True, True, False, False])
    second = np.array([True, False, False, False, False, True, False])
    found = agreement(first, second)
    assert (found.both, found.only_first, found.only_second, found.neither) == (1, 4, 1, 1)
    assert found.p_value == pytest.approx(2 * (math.comb(5, 0) + math.comb(5, 1)) / 2**5)
    assert agreement(first, first).p_value == 1
