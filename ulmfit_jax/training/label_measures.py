"""What an epoch measures of a classifier whose documents may have several labels."""

from __future__ import annotations

from typing import Final

import numpy as np

THRESHOLD: Final = 0.5
"""A label is given where its probability is larger; fastai's `thresh`."""


def log_complements(log_probabilities: np.ndarray) -> np.ndarray:
    """log(1 - p) of log p, float64, finite."""
    smallest = -float(np.finfo(np.float32).tiny)
    return np.log(-np.expm1(np.minimum(log_probabilities.astype(np.float64), smallest)))


def label_loss(log_probabilities: np.ndarray, indicators: np.ndarray) -> float:
    """Mean binary cross-entropy in nats over documents and classes, both `[documents, classes]`."""
    picked = np.where(indicators > 0, log_probabilities, log_complements(log_probabilities))
    return float(0 - picked.mean())  # and not -0.0 where all is certain


def micro_f1(given: np.ndarray, indicators: np.ndarray) -> float:
    """F1 of all questions together, 2 TP / (2 TP + FP + FN) over documents and classes; 1 where there is nothing to
    find and nothing is found."""
    given, truth = given > 0, indicators > 0
    both = 2 * int((given & truth).sum())
    total = int(given.sum()) + int(truth.sum())
    return both / total if total else 1.0


def label_measures(log_probabilities: np.ndarray, indicators: np.ndarray) -> dict[str, float]:
    """`valid_loss`, `error_rate` (share of documents whose labels are not all right) and `micro_f1`."""
    given = log_probabilities > np.log(THRESHOLD)
    wrong = (given != (indicators > 0)).any(axis=1)
    return {
        "valid_loss": label_loss(log_probabilities, indicators),
        "error_rate": float(wrong.mean()),
        "micro_f1": micro_f1(given, indicators),
    }
