"""The tied softmax and its loss, computed a chunk of tokens at a time.

Logits for a whole batch are the largest array of a language model (64 x 72 tokens x 60,000 words in float32 is 1.1
GB), and differentiating through them keeps two or three copies. Here the loss runs over chunks of tokens; the gradient
of the cross-entropy, `softmax - one_hot`, is formed while a chunk's logits are at hand and contracted at once, so no
array of `[tokens, vocabulary]` ever exists.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

from ulmfit_jax.nn.products import rounded_einsum

CHUNK_TOKENS = 512
"""Tokens whose logits exist at a time: 16 MB of float32 at a vocabulary of 8,192."""


class TokenScores(NamedTuple):
    """Sums over the scored tokens of a batch: negative log likelihood in nats, right argmax predictions, tokens."""

    loss: Array
    correct: Array
    tokens: Array


def logits(hidden: Array, embedding: Array, bias: Array, dtype: DTypeLike = jnp.float32) -> Array:
    """Scores `[..., vocabulary]` of `hidden` `[..., embedding]` against every row of `embedding` `[vocabulary,
    embedding]`; `dtype` is what both are rounded to."""
    scores = rounded_einsum("...e,ve->...v", hidden, embedding, dtype)
    return scores + jnp.expand_dims(bias, tuple(range(hidden.ndim - 1)))


def _chunks(hidden: Array, targets: Array) -> tuple[Array, Array]:
    """Tokens cut into equal chunks `[chunks, size, ...]`, the last one filled with targets of -1."""
    tokens = hidden.shape[0]
    size = min(CHUNK_TOKENS, tokens)
    filler = -tokens % size
    hidden = jnp.pad(hidden, ((0, filler), (0, 0)))
    targets = jnp.pad(targets, (0, filler), constant_values=-1)
    return hidden.reshape(-1, size, hidden.shape[-1]), targets.reshape(-1, size)


def _token_losses(scores: Array, targets: Array) -> tuple[Array, Array, Array]:
    """Losses `[tokens]` (0 where the target is -1), the log normaliser `[tokens, 1]` and which tokens count
    `[tokens]`."""
    scored = targets >= 0
    normaliser = jax.nn.logsumexp(scores, axis=-1, keepdims=True)
    chosen = jnp.take_along_axis(scores, jnp.maximum(targets, 0)[:, None], axis=-1)
    return jnp.where(scored, (normaliser - chosen)[:, 0], jnp.float32(0)), normaliser, scored


@partial(jax.custom_vjp, nondiff_argnums=(4,))
def tied_softmax_loss(
    hidden: Array, embedding: Array, bias: Array, targets: Array, dtype: DTypeLike = jnp.float32
) -> Array:
    """Mean cross-entropy in nats of the tied softmax.

    Args:
        hidden: encoder outputs `[tokens, embedding]` float32.
        embedding: `[vocabulary, embedding]`, shared with the encoder.
        bias: `[vocabulary]`.
        targets: `[tokens]` int32, -1 for a token that is not scored.
        dtype: what the operands of matrix products are rounded to (`ulmfit_jax.nn.products`).

    Returns:
        The mean over the scored tokens, a scalar.
    """
    scores = tied_softmax_scores(hidden, embedding, bias, targets, dtype)
    return scores.loss / jnp.maximum(scores.tokens, 1).astype(jnp.float32)


@partial(jax.jit, inline=True, static_argnums=4)
def tied_softmax_scores(
    hidden: Array, embedding: Array, bias: Array, targets: Array, dtype: DTypeLike = jnp.float32
) -> TokenScores:
    """Loss, right predictions and number of tokens as sums: for evaluation. Arguments as for `tied_softmax_loss`."""

    rounded = embedding.astype(dtype)

    def step(total: TokenScores, chunk: tuple[Array, Array]) -> tuple[TokenScores, None]:
        scores = logits(chunk[0], rounded, bias, dtype)
        losses, _, scored = _token_losses(scores, chunk[1])
        right = (jnp.argmax(scores, axis=-1).astype(jnp.int32) == chunk[1]) & scored
        added = TokenScores(losses.sum(), right.sum(dtype=jnp.int32), scored.sum(dtype=jnp.int32))
        return jax.tree.map(jnp.add, total, added), None

    zero = TokenScores(jnp.float32(0), jnp.int32(0), jnp.int32(0))
    return lax.scan(step, zero, _chunks(hidden, targets))[0]


def _forward(
    hidden: Array, embedding: Array, bias: Array, targets: Array, dtype: DTypeLike
) -> tuple[Array, tuple[Array, Array, Array]]:
    count = jnp.maximum((targets >= 0).sum(), 1).astype(jnp.float32)
    rounded = embedding.astype(dtype)

    def step(carry: tuple[Array, Array, Array], chunk: tuple[Array, Array]) -> tuple[tuple[Array, Array, Array], Array]:
        total, d_embedding, d_bias = carry
        chunk_hidden, chunk_targets = chunk
        scores = logits(chunk_hidden, rounded, bias, dtype)
        losses, normaliser, scored = _token_losses(scores, chunk_targets)
        weight = jnp.where(scored, 1 / count, jnp.float32(0))[:, None]
        one_hot = jax.nn.one_hot(chunk_targets, scores.shape[1], dtype=scores.dtype)
        d_scores = (jnp.exp(scores - normaliser) - one_hot) * weight
        d_embedding += rounded_einsum("nv,ne->ve", d_scores, chunk_hidden, dtype)
        carry = (total + losses.sum(), d_embedding, d_bias + d_scores.sum(axis=0))
        return carry, rounded_einsum("nv,ve->ne", d_scores, rounded, dtype)

    zero = (jnp.float32(0), jnp.zeros_like(embedding), jnp.zeros_like(bias))
    (total, d_embedding, d_bias), d_hidden = lax.scan(step, zero, _chunks(hidden, targets))
    d_hidden = d_hidden.reshape(-1, hidden.shape[-1])[: hidden.shape[0]]
    return total / count, (d_hidden, d_embedding, d_bias)


def _backward(dtype: DTypeLike, saved: tuple[Array, Array, Array], d_loss: Array) -> tuple[Array, Array, Array, None]:
    d_hidden, d_embedding, d_bias = (d_loss * saved_part for saved_part in saved)
    return d_hidden, d_embedding, d_bias, None


tied_softmax_loss.defvjp(_forward, _backward)
