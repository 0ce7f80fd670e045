"""A head of one linear layer, fitted instead of trained: logistic regression on the vectors of documents.

Where the encoder stays as it is there is nothing to train in steps. The loss of a linear layer on fixed vectors has one
minimum, and a solver finds it in seconds. How strongly the weights are held back decides everything where labels are
few, so that the penalty is chosen by cross-validation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ulmfit_jax.folds import fold_of_each
from ulmfit_jax.nn.batch_norm import BATCH_NORM_EPSILON
from ulmfit_jax.nn.parameters import Tree

INVERSE_PENALTIES: Final = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
"""Inverse strengths of the L2 penalty to choose from, scikit-learn's C."""

SAMPLE: Final = 4000
"""The most documents that the penalty is chosen by."""

_TRACE: Final = 0.05
"""Weight on one feature of a class whose score is a constant: an offset lives in the normalisation before the weights,
and needs one to come through."""


class LinearHead(NamedTuple):
    """Scores `[documents, classes]` are `standardised vectors @ weights + offsets`.

    Attributes:
        mean: of each feature over the documents, `[features]` float32.
        variance: the same.
        weights: `[features, classes]` float64.
        offsets: `[classes]` float64.
        inverse_penalty: what cross-validation chose.
    """

    mean: NDArray[np.float32]
    variance: NDArray[np.float32]
    weights: NDArray[np.float64]
    offsets: NDArray[np.float64]
    inverse_penalty: float

    def parameters(self) -> tuple[Tree, Tree]:
        """The same as parameters and statistics of a `PoolingHead` without hidden layers."""
        weights = self.weights.copy()
        for constant in np.flatnonzero(~weights.any(axis=0)):
            weights[constant, constant] = _TRACE
        bias = np.linalg.lstsq(weights.T, self.offsets, rcond=1e-6)[0]
        norm = {"scale": np.ones_like(self.mean), "bias": bias.astype(np.float32)}
        parameters = {"norm_0": norm, "dense_0": {"kernel": weights.astype(np.float32)}}
        return parameters, {"norm_0": {"mean": self.mean, "variance": self.variance}}


def fitted_head(
    vectors: NDArray[np.float32], targets: np.ndarray, n_classes: int, class_weights: Sequence[float] | None = None
) -> LinearHead:
    """Fit a head to documents; the features are standardised first, as batch normalisation does.

    Args:
        vectors: `[documents, features]`, at least as many features as classes.
        targets: index of each document's class, or, where a text may have several labels, indicators `[documents,
            classes]`.
        n_classes: number of classes.
        class_weights: how much each counts, as in `ClassifierNetwork.loss`; None: all alike.
    """
    mean, variance = vectors.mean(axis=0), vectors.var(axis=0)
    scaled = (vectors - mean) / np.sqrt(variance + np.float32(BATCH_NORM_EPSILON))
    weight_of = np.ones(n_classes) if class_weights is None else np.asarray(class_weights, np.float64)
    basis = None
    if len(vectors) < vectors.shape[1]:  # the weights lie in the documents' own space, and so small a one is faster
        basis, coordinates = np.linalg.qr(scaled.T)
        scaled = coordinates.T
    inverse_penalty = _chosen(scaled, targets, weight_of)
    weights, offsets = _solved(scaled, targets, weight_of, inverse_penalty)
    return LinearHead(mean, variance, weights if basis is None else basis @ weights, offsets, inverse_penalty)


def _chosen(scaled: NDArray[np.float32], targets: np.ndarray, class_weights: np.ndarray) -> float:
    """The inverse penalty with the least loss on documents that are left out.

    From the strongest on, until the loss has risen twice: it has one valley, and the weakest penalties take longest.
    """
    rows = np.random.default_rng(0).permutation(len(targets))[:SAMPLE]
    scaled, targets = scaled[rows], targets[rows]
    part = fold_of_each(targets if targets.ndim == 1 else np.zeros(len(targets), np.int64))
    folds = [(part == fold, part != fold) for fold in np.unique(part) if (part != fold).any()]
    losses: list[float] = []
    for inverse_penalty in INVERSE_PENALTIES:
        total = 0.0
        for inside, outside in folds:
            weights, offsets = _solved(scaled[outside], targets[outside], class_weights, inverse_penalty)
            total += _loss(scaled[inside] @ weights + offsets, targets[inside], class_weights)
        losses.append(total)
        if len(losses) > int(np.argmin(losses)) + 2:
            break
    return INVERSE_PENALTIES[int(np.argmin(losses))]


def _loss(scores: np.ndarray, targets: np.ndarray, class_weights: np.ndarray) -> float:
    """Sum of the weighted cross-entropies of documents."""
    from scipy.special import log_expit, log_softmax

    if targets.ndim == 2:
        return -float((np.where(targets > 0, class_weights * log_expit(scores), log_expit(-scores))).sum())
    own = log_softmax(scores, axis=1)[np.arange(len(targets)), targets]
    return -float((class_weights[targets] * own).sum())


def _solved(
    scaled: NDArray[np.float32], targets: np.ndarray, class_weights: np.ndarray, inverse_penalty: float
) -> tuple[np.ndarray, np.ndarray]:
    """Weights `[features, classes]` and offsets `[classes]`, float64.

    Scores of several classes are log odds but for a constant: their mean over the classes that occur is 0. A class that
    no document has is as unlikely as one in as many documents and one more.
    """
    from sklearn.linear_model import LogisticRegression

    def model(answers: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = LogisticRegression(C=inverse_penalty, max_iter=1000).fit(scaled, answers, counts)
        return found.coef_.T.astype(np.float64), found.intercept_.astype(np.float64)

    weights, offsets = np.zeros((scaled.shape[1], len(class_weights))), np.zeros(len(class_weights))
    if targets.ndim == 2:
        for label, positive in enumerate(targets.T > 0):
            if positive.all() or not positive.any():
                offsets[label] = np.log((positive.sum() + 0.5) / ((~positive).sum() + 0.5))
            else:
                found, constants = model(positive, np.where(positive, class_weights[label], 1.0))
                weights[:, label], offsets[label] = found[:, 0], constants[0]
        return weights, offsets
    known = np.unique(targets)
    offsets[:] = -np.log(len(targets) + 1)
    offsets[known] = 0.0
    if len(known) > 1:
        found, constants = model(targets, class_weights[targets])
        if len(known) == 2:  # the log odds of the second class
            found, constants = found * np.array([[-0.5, 0.5]]), constants * np.array([-0.5, 0.5])
        weights[:, known] = found - found.mean(axis=1, keepdims=True)
        offsets[known] = constants - constants.mean()
    return weights, offsets
