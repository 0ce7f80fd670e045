"""How many texts of each class there are among texts without labels, and scores that respect it.

A classifier of few labels leans to some class, and what learns from its labels leans further. Where the shares of the
classes are known, the leaning can be taken out. They are taken to be those among the labels; but people label as many
of the rare class as of the others, so that is checked: where a cross-validated model predicts other shares among the
labelled texts than among the others, by more than chance, these are estimated from its mistakes (black-box shift
estimation, Lipton et al. 2018).
"""

from __future__ import annotations

import numpy as np

_TOLERANCE = 3.0
"""Standard errors that count as chance."""

_STEPS = 200


def shares_of_classes(truth: np.ndarray, predicted: np.ndarray, others: np.ndarray, n_classes: int) -> np.ndarray:
    """Shares of the classes among texts without labels, `[n_classes]` float64, summing to one.

    Args:
        truth: classes of the labelled texts.
        predicted: what a model that has not seen the text's own label says of each of them.
        others: what the same kind of model says of the texts without labels.
        n_classes: number of classes.
    """
    counts = np.bincount(truth, minlength=n_classes)
    expected, observed = (np.bincount(classes, minlength=n_classes) / len(classes) for classes in (predicted, others))
    pooled = (expected * len(predicted) + observed * len(others)) / (len(predicted) + len(others))
    variance = pooled * (1 - pooled) * (1 / len(predicted) + 1 / len(others))
    if (np.abs(observed - expected) <= _TOLERANCE * np.sqrt(variance)).all():
        return counts / counts.sum()
    from scipy.optimize import nnls

    confusion = np.zeros((n_classes, n_classes))  # [predicted, true]
    np.add.at(confusion, (predicted, truth), 1)
    solved, _ = nnls(confusion / np.maximum(counts, 1), observed)
    if not solved.any():  # no mistake among the labelled texts explains what is said of the others
        return counts / counts.sum()
    return solved / solved.sum()


def with_shares(scores: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Scores `[texts, classes]` with a constant added to each class so that each is the best for its share of texts.

    A class of share 0 is best for none.
    """
    wanted = np.maximum(shares, 0.5 / len(scores))
    offsets = np.zeros(scores.shape[1])
    step = max(float(scores.std()), float(np.finfo(np.float32).tiny))
    for _ in range(_STEPS):
        found = np.bincount((scores + offsets).argmax(axis=1), minlength=len(shares)) / len(scores)
        if np.abs(found - wanted).max() <= 1 / len(scores):
            break
        offsets += step * np.log(wanted / np.maximum(found, 0.5 / len(scores)))
        step *= 0.95
    return scores + np.where(shares > 0, offsets, -np.inf)
