"""The loss of a classifier whose documents may have several labels: each label is a question of its own."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array, lax


def binary_cross_entropy(
    scores: Array,
    rows: Array,
    labels: Array,
    label_smoothing: float = 0.0,
    class_weights: Sequence[float] | None = None,
    axis_name: str | None = None,
) -> Array:
    """Mean over documents and classes of -[y log p + (1 - y) log(1 - p)], p = sigmoid(score).

    fastai's `BCEWithLogitsLossFlat`. Without smoothing and weights there is no choice in it.

    Args:
        scores: `[batch, classes]`.
        rows: which rows are documents, `[batch]` bool.
        labels: `[batch, classes]` int32, 1 where a label applies.
        label_smoothing: moves the targets 0 and 1 towards 1/2 by this share of the way.
        class_weights: how much the documents that have the label count in its question against those that have not,
            torch's `pos_weight`; None: alike.
        axis_name: mapped axis over which the batch is spread; the mean is then of this device's rows by the devices'
            mean number of them, so that its mean over the devices is that of the global batch.
    """
    targets = (labels > 0).astype(jnp.float32) * (1 - label_smoothing) + label_smoothing / 2
    weights = jnp.ones(scores.shape[-1:], jnp.float32)
    if class_weights is not None:
        weights = jnp.asarray(class_weights, jnp.float32)
    losses = -weights[None] * targets * jax.nn.log_sigmoid(scores) - (1 - targets) * jax.nn.log_sigmoid(-scores)
    count = rows.sum(dtype=jnp.int32).astype(jnp.float32)
    if axis_name:
        count = lax.pmean(count, axis_name)
    return jnp.where(rows, losses.mean(axis=1), jnp.float32(0)).sum() / jnp.maximum(count, jnp.finfo(jnp.float32).tiny)
