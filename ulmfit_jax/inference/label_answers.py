"""Answers of a classifier whose documents may have several labels: each label is a question with two answers.

So what is said of probabilities over classes, temperature and calibration, holds of each question by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ulmfit_jax.inference.temperature import expected_calibration_error, fitted_temperature, tempered
from ulmfit_jax.report.measures import label_scores, none_of_nan
from ulmfit_jax.training.label_measures import THRESHOLD, label_loss, log_complements, micro_f1

_SMALLEST = float(np.finfo(np.float32).tiny)


def tempered_labels(log_probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities `[documents, classes]` float32 at a temperature; it moves none over the threshold."""
    return tempered(_questions(log_probabilities), temperature)[:, 1].reshape(log_probabilities.shape)


def given_labels(probabilities: np.ndarray) -> np.ndarray:
    """Which labels are given, `[documents, classes]` bool."""
    return probabilities > THRESHOLD


def fitted_label_temperature(
    log_probabilities: np.ndarray, indicators: np.ndarray, *, is_near_one: bool = False
) -> float:
    """The temperature with the least binary cross-entropy over all questions; see `fitted_temperature`."""
    return fitted_temperature(_questions(log_probabilities), indicators.reshape(-1), is_near_one=is_near_one)


def label_calibration_error(probabilities: np.ndarray, indicators: np.ndarray) -> float:
    """Expected calibration error over all questions; the confidence is that of the answer, label or not."""
    answers = np.stack([1 - probabilities, probabilities], axis=-1).reshape(-1, 2)
    return expected_calibration_error(answers, indicators.reshape(-1))


def label_cross_entropy(probabilities: np.ndarray, indicators: np.ndarray) -> float:
    """Mean binary cross-entropy in nats; both are `[documents, classes]`."""
    return label_loss(np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST)), indicators)


def evaluated_labels(probabilities: np.ndarray, indicators: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """The figures of `Answers.evaluate`; probabilities and indicators are `[documents, classes]`."""
    given, truth = given_labels(probabilities), indicators > 0
    accuracy = float((given == truth).all(axis=1).mean())
    scores = label_scores(given, truth)
    return {
        "accuracy": accuracy,
        "error": 1 - accuracy,
        "loss": label_cross_entropy(probabilities, indicators),
        "n": len(truth),
        "label_accuracy": float((given == truth).mean()),
        "micro_f1": micro_f1(given, truth),
        "macro_f1": none_of_nan(scores.macro_f1),
        "classes": scores.by_class(classes),
    }


def _questions(log_probabilities: np.ndarray) -> np.ndarray:
    """Log probabilities `[documents * classes, 2]` float64 of no and yes."""
    yes = log_probabilities.astype(np.float64)
    return np.stack([log_complements(yes), yes], axis=-1).reshape(-1, 2)
