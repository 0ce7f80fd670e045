"""What a report measures of a classifier's answers: confusion, precision and recall, calibration, luck.

Pure functions of NumPy arrays. A measure that is not defined (the precision of a class that was never predicted) is NaN
here and a dash on the page; means leave it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

CONFIDENCE_BINS = 15
"""Bins of the calibration curve and of the expected calibration error, of equal width, as in Guo et al. 2017."""


@dataclass(frozen=True)
class ClassScores:
    """Measures of each class, `[classes]`.

    Attributes:
        precision: share of the texts with this answer that belong to the class; NaN without such answers.
        recall: share of the class's texts with this answer; NaN without such texts.
        f1: their harmonic mean, 2 TP / (2 TP + FP + FN); NaN without texts and answers.
        support: texts of the class.
        answered: texts with this answer.
    """

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray
    answered: np.ndarray

    def by_class(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """`precision`, `recall`, `f1` and `n` (texts) of each class by its name; None, as JSON has no NaN, where a
        measure is not defined."""
        rows = zip(self.precision, self.recall, self.f1, self.support, strict=True)
        return {
            name: {
                "precision": none_of_nan(precision),
                "recall": none_of_nan(recall),
                "f1": none_of_nan(f1),
                "n": int(support),
            }
            for name, (precision, recall, f1, support) in zip(names, rows, strict=True)
        }

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes where it is defined."""
        return _mean(self.f1)


@dataclass(frozen=True)
class Calibration:
    """Confidence against accuracy in bins of confidence, `[bins]`.

    Attributes:
        edges: borders of the bins, `[bins + 1]`; a bin holds its lower border, the last one both.
        counts: texts of each bin.
        right: those among them with the right answer.
        confidence: mean confidence of each bin, NaN where it is empty.
        accuracy: share of right answers, NaN where it is empty.
        error: expected calibration error: the mean over all texts of |accuracy - confidence| of their bins.
    """

    edges: np.ndarray
    counts: np.ndarray
    right: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    error: float


@dataclass(frozen=True)
class Agreement:
    """How often two classifiers are right about the same texts.

    Attributes:
        both, only_first, only_second, neither: texts.
        p_value: how probable a difference at least this large is between classifiers that are equally good (exact
            sign test over the texts that only one gets right, McNemar 1947); 1 where there are none.
    """

    both: int
    only_first: int
    only_second: int
    neither: int
    p_value: float


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """How many texts of each class (rows) got each answer (columns), `[classes, classes]` int64.

    Args:
        truth: index of the class of each text, `[texts]`.
        predicted: index of the answer, `[texts]`.
        n_classes: number of classes.
    """
    pairs = truth.astype(np.int64) * n_classes + predicted.astype(np.int64)
    return np.bincount(pairs, minlength=n_classes * n_classes).reshape(n_classes, n_classes)


def class_scores(confusion: np.ndarray) -> ClassScores:
    """Precision, recall and F1 of each class from a confusion matrix `[classes, classes]`."""
    hits, support, answered = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    return ClassScores(
        _ratio(hits, answered), _ratio(hits, support), _ratio(2 * hits, support + answered), support, answered
    )


def label_scores(given: np.ndarray, truth: np.ndarray) -> ClassScores:
    """The same where a text may have several labels: `given` and `truth` are `[texts, classes]`, true where one is."""
    given, truth = given > 0, truth > 0
    hits, support, answered = (given & truth).sum(axis=0), truth.sum(axis=0), given.sum(axis=0)
    return ClassScores(
        _ratio(hits, answered), _ratio(hits, support), _ratio(2 * hits, support + answered), support, answered
    )


def calibration(confidence: np.ndarray, right: np.ndarray, n_bins: int = CONFIDENCE_BINS) -> Calibration:
    """How well the confidence in the answers says how often they are right.

    Args:
        confidence: probability of each answer, `[texts]`, from 0 to 1.
        right: whether it is right, `[texts]` bool.
        n_bins: bins of equal width.
    """
    bins = np.minimum((confidence.astype(np.float64) * n_bins).astype(np.int64), n_bins - 1)
    counts = np.bincount(bins, minlength=n_bins)
    hits = np.bincount(bins, weights=right, minlength=n_bins).astype(np.int64)
    mean = _ratio(np.bincount(bins, weights=confidence, minlength=n_bins), counts)
    accuracy = _ratio(hits, counts)
    gaps = np.where(counts > 0, np.abs(np.nan_to_num(accuracy) - np.nan_to_num(mean)), 0.0)
    error = float((gaps * counts).sum() / max(len(bins), 1))
    return Calibration(np.linspace(0, 1, n_bins + 1), counts, hits, mean, accuracy, error)


def share_interval(hits: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of `hits` in `count` draws (Wilson 1927); from 0 to 1 without draws."""
    from scipy.stats import binomtest

    if not count:
        return 0.0, 1.0
    interval = binomtest(int(hits), int(count)).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def agreement(first_right: np.ndarray, second_right: np.ndarray) -> Agreement:
    """Compare two classifiers on the same texts; the arguments say whether each is right, `[texts]` bool."""
    from scipy.stats import binomtest

    only_first, only_second = int((first_right & ~second_right).sum()), int((second_right & ~first_right).sum())
    differing = only_first + only_second
    p_value = float(binomtest(only_first, differing).pvalue) if differing else 1.0
    both, neither = int((first_right & second_right).sum()), int((~first_right & ~second_right).sum())
    return Agreement(both, only_first, only_second, neither, p_value)


def none_of_nan(value: float) -> float | None:
    """The same number, or None: JSON has no NaN."""
    return None if np.isnan(value) else float(value)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """`part / whole` in float64, NaN where `whole` is 0."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)


def _mean(values: np.ndarray) -> float:
    """The mean of what is not NaN; NaN where there is nothing."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
