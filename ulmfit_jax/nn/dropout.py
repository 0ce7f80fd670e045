"""The dropout masks of the AWD-LSTM. Every function here draws a mask; the caller multiplies.

A kept element is scaled by `1 / (1 - rate)`, so that nothing has to be changed at evaluation. Masks that belong to
rows of a batch are drawn row by row from the row's number in the global batch: a row gets the same mask however the
batch is split over devices.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array


def keep_mask(key: Array, rate: float, shape: tuple[int, ...]) -> Array:
    """Independent mask elements: 0 with probability `rate`, otherwise `1 / (1 - rate)`; float32 of `shape`.

    Drawn from 16 random bits an element, so the rate is exact to 1/65,536.
    """
    threshold = round(rate * 2**16)
    kept = jax.random.bits(key, shape, jnp.uint16) >= jnp.uint16(min(threshold, 2**16 - 1))
    return jnp.where(kept, jnp.float32(1 / (1 - rate)), jnp.float32(0))


def locked_mask(key: Array, rate: float, rows: Array, features: int) -> Array:
    """One mask per row of the batch, the same at all time steps (Gal & Ghahramani's variational dropout).

    Args:
        key: the random key of this place in the network and of this step.
        rate: probability of dropping a feature.
        rows: the rows' numbers in the global batch, `[batch]` int32.
        features: features to mask.

    Returns:
        `[batch, features]` float32; broadcast it over time.
    """
    keys = jax.vmap(lambda row: jax.random.fold_in(key, row))(rows)
    return jax.vmap(lambda row_key: keep_mask(row_key, rate, (features,)))(keys)


def embedding_row_mask(key: Array, rate: float, vocabulary_size: int) -> Array:
    """One element per row of the embedding matrix, `[vocabulary]` float32, shared by all positions of the batch.

    Gather it with the tokens and multiply the gathered rows; the matrix itself is never scaled, and the tied decoder
    uses it undropped.
    """
    return keep_mask(key, rate, (vocabulary_size,))
