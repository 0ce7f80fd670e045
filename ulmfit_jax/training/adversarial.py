"""Adversarial training (Miyato, Dai and Goodfellow 2017): a classifier learns from its documents, and from the same
with their embedded tokens pushed to where its loss rises most.

The paper normalises embeddings, so that a perturbation of a fixed norm means the same throughout; here its norm is
given in that of a token, and the embedding stays the language model's. It is that of the whole document: the tokens of
a long one are each pushed less far. The second pass draws the dropout masks of the first: the example is adversarial to
the network that it was found for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from ulmfit_jax.nn.documents import first_chunks, holds_token, token_places
from ulmfit_jax.nn.parameters import Tree


def with_adversarial_examples(
    loss: Callable[[Tree, Array, float], tuple[Array, Any]], parameters: Tree, shape: tuple[int, ...], reach: Array
) -> tuple[tuple[Array, Any], Tree]:
    """Value and gradients of the mean of the loss on a batch and on its adversarial examples.

    Args:
        loss: `(parameters, perturbation, penalties) -> (loss, others)`, with its penalties so many times. They count on
            the adversarial examples alone, so that these are sought where the answers get worse.
        parameters: what to differentiate by.
        shape: of the perturbation, `[chunks, bptt, batch, embedding]`.
        reach: norm of each document's perturbation, `[batch]`.

    Returns:
        As `jax.value_and_grad` with `has_aux`; the others are those of the batch itself.
    """
    differentiate = jax.value_and_grad(loss, (0, 1), has_aux=True)
    (clean, others), (gradients, ascent) = differentiate(parameters, jnp.zeros(shape, jnp.float32), 0.0)
    (pushed, _), of_pushed = jax.value_and_grad(loss, has_aux=True)(parameters, perturbation(ascent, reach), 2.0)
    return ((clean + pushed) / 2, others), jax.tree.map(lambda one, other: (one + other) / 2, gradients, of_pushed)


def perturbation(ascent: Array, reach: Array) -> Array:
    """A push for each document along its gradient `[chunks, bptt, batch, embedding]`, of the norm `reach` `[batch]`;
    none where there is no gradient."""
    largest = jnp.abs(ascent).max(axis=(0, 1, 3), keepdims=True)
    scaled = ascent / jnp.maximum(largest, jnp.finfo(jnp.float32).tiny)  # so that small gradients have squares
    norm = jnp.sqrt(jnp.square(scaled).sum(axis=(0, 1, 3), keepdims=True))
    return lax.stop_gradient(scaled / jnp.maximum(norm, 1) * reach[None, None, :, None])


def token_norms(embedding: Array, tokens: Array, lengths: Array) -> Array:
    """Norm of an embedded token of each document, the root of the mean square, `[batch]`; 0 for a filler row.

    Args:
        embedding: `[vocabulary, embedding]`.
        tokens: `[chunks, bptt, batch]`, as for `encode_documents`.
        lengths: `[batch]`.
    """
    chunks, bptt, _ = tokens.shape
    squares = jnp.square(embedding).sum(axis=1)
    indices = jnp.arange(chunks, dtype=jnp.int32)
    read = holds_token(token_places(indices, first_chunks(lengths, chunks, bptt), bptt), lengths)
    total = jnp.where(read, squares[tokens.reshape(read.shape)], jnp.float32(0)).sum(axis=0)
    return jnp.sqrt(total / jnp.maximum(lengths, 1).astype(jnp.float32))
