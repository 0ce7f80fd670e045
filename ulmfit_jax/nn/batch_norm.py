"""Batch normalisation with torch's conventions, over rows that are spread over devices, and its running statistics."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array, lax

from ulmfit_jax.nn.parameters import Tree

MOMENTUM = 0.1
BATCH_NORM_EPSILON = 1e-5
"""Share of a batch in the running statistics of batch normalisation, after the first ones; torch's default."""


class BatchNorm(nnx.Module):
    """Batch normalisation with torch's conventions over the true rows of a batch spread over devices.

    Parameters `scale` (1) and `bias` (fastai starts it at 1e-3); statistics `mean` and `variance`; epsilon 1e-5. A
    training pass leaves the batch's own statistics in them, the unbiased variance, as torch's running one;
    `running_statistics` takes these into the averages that evaluation normalises with. A single true row has no
    variance (torch refuses it): it is normalised with the statistics that are there, which stay.
    """

    def __init__(self, features: int):
        self.scale = nnx.Param(jnp.ones((features,), jnp.float32))
        self.bias = nnx.Param(jnp.full((features,), 1e-3, jnp.float32))
        self.mean = nnx.BatchStat(jnp.zeros((features,), jnp.float32))
        self.variance = nnx.BatchStat(jnp.ones((features,), jnp.float32))

    def __call__(self, features: Array, rows: Array | None = None, axis_name: str | None = None) -> Array:
        """Normalise `features` `[batch, features]`.

        Args:
            features: the rows.
            rows: which rows are true ones, `[batch]` bool: training, with the batch's own statistics, which are kept.
                None: evaluation, with the statistics that are there.
            axis_name: mapped axis over which the batch is spread.
        """
        if rows is None:
            return self._normalise(features, self.mean[...], self.variance[...])
        mask = rows[:, None].astype(jnp.float32)
        sums = ((features * mask).sum(axis=0), mask.sum())
        total, count = lax.psum(sums, axis_name) if axis_name else sums
        mean = total / count
        squares = (jnp.square(features - mean[None]) * mask).sum(axis=0)
        squares = lax.psum(squares, axis_name) if axis_name else squares
        alone, running = count < 2, self.variance[...]
        mean = jnp.where(alone, self.mean[...], mean)
        self.mean[...] = lax.stop_gradient(mean)
        self.variance[...] = lax.stop_gradient(jnp.where(alone, running, squares / jnp.maximum(count - 1, 1)))
        return self._normalise(features, mean, jnp.where(alone, running, squares / count))

    def _normalise(self, features: Array, mean: Array, variance: Array) -> Array:
        inverse = self.scale[...] * lax.rsqrt(variance + BATCH_NORM_EPSILON)
        return (features - mean[None]) * inverse[None] + self.bias[...][None]


def running_statistics(running: Tree, batch: Tree, step: Array | None = None) -> Tree:
    """The running statistics of batch normalisation after a step: averages with a momentum of 0.1, as torch's.

    torch's begin at mean 0 and variance 1 and need some forty steps to forget it. Few texts give few steps, and answers
    would be wrong on the very texts that were learnt (experiments/README.md). So fresh ones can be corrected for their
    beginning, as Adam's moments are. Training itself uses the batch's own.

    Args:
        running: those before the step, as `ModuleDefinition.statistics_of` gives them.
        batch: those of the step's batch, as a training pass leaves them.
        step: how many steps these averages have seen; after none they become the batch's. None: no correction.
    """
    share = jnp.float32(MOMENTUM)
    if step is not None:
        share = share / (1 - (1 - share) ** (step.astype(jnp.float32) + 1))
    return jax.tree.map(lambda old, new: old + share * (new - old), running, batch)
