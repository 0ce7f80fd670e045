"""Encoding documents that follow one another in lanes, without dropout: the vectors that a head gets.

The same numbers as `ulmfit_jax.nn.documents` gives for each document, but documents may begin and end at any step, so
that no step waits for a longer document. Concat pooling (ULMFiT, section 3.3) keeps a running sum and maximum.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.awd_lstm import AwdLstm, EncoderState, initial_state


class LaneCarry(NamedTuple):
    """What a lane carries from block to block.

    Attributes:
        state: of the encoder.
        total: sum of the outputs that have been pooled of the lane's document, `[lanes, features]`.
        maximum: their maximum, `[lanes, features]`; -inf before the first.
        pooled: how many there were, `[lanes]` float32.
        lower: sums of what the layers below the last read at these places, `[lanes, lower features]`; no features
            unless they are asked for.
    """

    state: EncoderState
    total: Array
    maximum: Array
    pooled: Array
    lower: Array


def initial_carry(architecture: Architecture, lanes: int, all_layers: bool = False) -> LaneCarry:
    """The carry before the first block; `all_layers` as for `encode_lanes`."""
    zeros = jnp.zeros((lanes, architecture.embedding_size), jnp.float32)
    lower = jnp.zeros((lanes, architecture.lower_features if all_layers else 0), jnp.float32)
    return LaneCarry(initial_state(architecture, lanes), zeros, jnp.full_like(zeros, -jnp.inf), zeros[:, 0], lower)


def encode_lanes(
    encoder: AwdLstm, tokens: Array, pooled: Array, ends: Array, carry: LaneCarry, all_layers: bool = False
) -> tuple[Array, LaneCarry]:
    """Read the next block of all lanes.

    Args:
        encoder: the encoder.
        tokens: `[steps, lanes]` int32.
        pooled: which tokens count in their document's vector, `[steps, lanes]` bool; its last one has to.
        ends: which are the last of their document, `[steps, lanes]` bool.
        carry: that of the block before.
        all_layers: pool what the lower layers read, too.

    Returns:
        `[steps, lanes, 3 * features]`, or more with `all_layers`: at the end of a document what `concat_pool` gives;
        what it is at other places is of no use. And the carry for the next block.
    """
    (*below, outputs), state = encoder.every_layer(tokens, carry.state, ends=ends)
    lower = jnp.concatenate([outputs[..., :0], *(below if all_layers else [])], axis=-1)

    def step(carry: LaneCarry, item: tuple[Array, Array, Array, Array]) -> tuple[LaneCarry, Array]:
        output, lower_t, pooled_t, ends_t = item
        total = carry.total + jnp.where(pooled_t[:, None], output, jnp.float32(0))
        below = carry.lower + jnp.where(pooled_t[:, None], lower_t, jnp.float32(0))
        maximum = jnp.maximum(carry.maximum, jnp.where(pooled_t[:, None], output, jnp.float32(-jnp.inf)))
        count = carry.pooled + pooled_t.astype(jnp.float32)
        divisor = jnp.maximum(count, 1)[:, None]
        vectors = jnp.concatenate([output, maximum, total / divisor, below / divisor], axis=1)
        after = carry._replace(
            total=jnp.where(ends_t[:, None], jnp.float32(0), total),
            maximum=jnp.where(ends_t[:, None], jnp.float32(-jnp.inf), maximum),
            pooled=jnp.where(ends_t, jnp.float32(0), count),
            lower=jnp.where(ends_t[:, None], jnp.float32(0), below),
        )
        return after, vectors

    pooling = carry._replace(state=())
    pooling, vectors = lax.scan(step, pooling, (outputs, lower, pooled, ends))
    return vectors, pooling._replace(state=state)


def picked(vectors: Array, places: Array) -> Array:
    """The vectors `[places, pooled features]` at `places` `[places]` int32, each `step * lanes + lane`."""
    return jnp.take(vectors.reshape(-1, vectors.shape[-1]), places, axis=0)
