"""Temperature scaling (Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2).

A network is surer of its answers than it is right. Dividing its scores by one number, fitted on texts that it has not
learnt from, mends most of that, and changes no answer.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from ulmfit_jax.report.measures import calibration

LARGEST: Final = 100.0
"""Temperatures lie between 1 / LARGEST and LARGEST. Where every answer is right, or they are no better than chance, the
likelihood has no optimum, and the bound is what is found."""

_HALVINGS: Final = 60


def checked_temperature(value: Any) -> float:
    """A temperature that somebody else may have written.

    Raises:
        ValueError: no number, or out of range.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 / LARGEST <= value <= LARGEST:
        raise ValueError(f"a temperature that is no number from {1 / LARGEST} to {LARGEST}")
    return float(value)


def tempered(log_probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities `[documents, classes]` float32 at a temperature; the largest of a row stays the largest.

    Args:
        log_probabilities: `[documents, classes]`, up to a constant for each row.
        temperature: above 1 less sure, below 1 surer; 1 leaves them as they are.
    """
    scores = log_probabilities.astype(np.float64)
    scaled = np.exp((scores - scores.max(axis=1, keepdims=True)) / temperature)
    result: np.ndarray = (scaled / scaled.sum(axis=1, keepdims=True)).astype(np.float32)
    best = log_probabilities.argmax(axis=1)
    tied = np.flatnonzero(result.argmax(axis=1) != best)  # float32 cannot tell them apart any more
    result[tied, best[tied]] = np.nextafter(result[tied].max(axis=1), np.float32(2))
    return result


def fitted_temperature(log_probabilities: np.ndarray, truth: np.ndarray, *, is_near_one: bool = False) -> float:
    """The temperature with the least negative log likelihood, from 1 / `LARGEST` to `LARGEST`.

    The likelihood is concave in 1 / temperature, so that the sign of its slope says on which side the optimum is.

    Args:
        log_probabilities: `[documents, classes]`, up to a constant for each row.
        truth: classes, `[documents]`.
        is_near_one: take the logarithm of the temperature to be drawn from the standard normal distribution before the
            documents speak, so that a few that are all answered right do not lead to the bound.
    """
    scores = log_probabilities.astype(np.float64)
    scores = scores - scores[np.arange(len(truth)), truth][:, None]
    low, high = -np.log(LARGEST), np.log(LARGEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        weights = np.exp((scores - scores.max(axis=1, keepdims=True)) / np.exp(middle))
        slope = ((weights * scores).sum(axis=1) / weights.sum(axis=1)).mean()
        if is_near_one:
            slope -= middle * np.exp(middle) / len(truth)  # both are derivatives by 1 / temperature
        low, high = (middle, high) if slope > 0 else (low, middle)
    return float(np.clip(np.exp((low + high) / 2), 1 / LARGEST, LARGEST))


def expected_calibration_error(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Mean over the documents of |accuracy - confidence| in their bins of confidence, all of equal width."""
    return calibration(probabilities.max(axis=1), probabilities.argmax(axis=1) == truth).error
