"""The tied softmax and its loss with all gradients, one token at a time, in NumPy float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def tied_cross_entropy(
    hidden: Array, embedding: Array, bias: Array, targets: NDArray[np.int32]
) -> tuple[float, Array, Array, Array]:
    """Mean loss in nats over the targets that are not -1, and the gradients of hidden, embedding and bias."""
    d_hidden, d_embedding, d_bias = np.zeros_like(hidden), np.zeros_like(embedding), np.zeros_like(bias)
    scored = [token for token in range(len(targets)) if targets[token] >= 0]
    loss = 0.0
    for token in scored:
        scores = embedding @ hidden[token] + bias
        probabilities = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
        loss -= np.log(probabilities[targets[token]]) / len(scored)
        d_scores = probabilities / len(scored)
        d_scores[targets[token]] -= 1 / len(scored)
        d_hidden[token] = d_scores @ embedding
        d_embedding += np.outer(d_scores, hidden[token])
        d_bias += d_scores
    return loss, d_hidden, d_embedding, d_bias


def weighted_cross_entropy(scores: Array, labels: list[int], weights: list[float], smoothing: float = 0.0) -> float:
    """Torch's `CrossEntropyLoss(weight=…, label_smoothing=…)`, one document at a time; a label below 0 is none."""
    total = divisor = 0.0
    for row, label in zip(scores, labels, strict=True):
        if label < 0:
            continue
        losses = -(row - row.max() - np.log(np.exp(row - row.max()).sum())) * np.array(weights)
        total += (1 - smoothing) * losses[label] + smoothing * losses.mean()
        divisor += weights[label]
    return total / divisor
