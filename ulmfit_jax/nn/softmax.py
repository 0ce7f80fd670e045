"""The tied softmax and its loss, computed a tile at a time: some tokens by some words of the vocabulary.

Logits for a whole batch are the largest array of a language model (64 x 72 tokens x 60,000 words in float32 is 1.1
GB), and differentiating through them keeps two or three copies. Here the loss runs over chunks of tokens, and in each
over tiles of the vocabulary, twice: first for the normaliser, keeping the chunk's logits; then for the gradient of the
cross-entropy, `softmax - one_hot`, which is contracted at once. No array of `[tokens, vocabulary]` ever exists, and a
tile stays in the processor's cache from the product that makes it to those that use it up.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

from ulmfit_jax.nn.products import rounded_einsum

CHUNK_TOKENS = 1152
"""Tokens whose logits exist at a time: 276 MB of float32 at a vocabulary of 60,008."""
TILE_WORDS = 2048
"""Words of a tile on a CPU: 9 MB, which a third-level cache holds; accelerators take the vocabulary as one tile."""
LANES = 16
"""A CPU's tile is a multiple of so many words: the floats of a 512-bit register."""
ACCELERATOR_LANES = 128
"""The same on an accelerator, whose matrix units take 128 columns at a time."""


class TokenScores(NamedTuple):
    """Sums over the scored tokens of a batch: negative log likelihood in nats, right argmax predictions, tokens."""

    loss: Array
    correct: Array
    tokens: Array


class _Tiles(NamedTuple):
    """The table in tiles: `embedding` `[tiles, words, embedding]`, `bias` `[tiles, words]`, -inf for the filler at the
    end, and each tile's `first` word `[tiles]`."""

    embedding: Array
    bias: Array
    first: Array


def logits(hidden: Array, embedding: Array, bias: Array, dtype: DTypeLike = jnp.float32) -> Array:
    """Scores `[..., vocabulary]` of `hidden` `[..., embedding]` against every row of `embedding` `[vocabulary,
    embedding]`; `dtype` is what both are rounded to."""
    scores = rounded_einsum("...e,ve->...v", hidden, embedding, dtype)
    return scores + jnp.expand_dims(bias, tuple(range(hidden.ndim - 1)))


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
    tiles = _tiles(embedding, bias, dtype)

    def step(total: TokenScores, chunk: tuple[Array, Array]) -> tuple[TokenScores, None]:
        normaliser, (highest, places) = _normaliser(chunk[0], tiles, dtype, _best)
        words = jnp.take_along_axis(places, highest.argmax(axis=0)[None], axis=0)[0]
        losses = _token_losses(*chunk, normaliser, tiles, dtype)
        scored = chunk[1] >= 0
        right = (words == chunk[1]) & scored
        added = TokenScores(losses.sum(), right.sum(dtype=jnp.int32), scored.sum(dtype=jnp.int32))
        return jax.tree.map(jnp.add, total, added), None

    zero = TokenScores(jnp.float32(0), jnp.int32(0), jnp.int32(0))
    return lax.scan(step, zero, _chunks(hidden, targets))[0]


def _chunks(hidden: Array, targets: Array) -> tuple[Array, Array]:
    """Tokens cut into equal chunks `[chunks, size, ...]`, the last one filled with targets of -1."""
    tokens = hidden.shape[0]
    size = -(-tokens // -(-tokens // CHUNK_TOKENS))
    filler = -tokens % size
    hidden = jnp.pad(hidden, ((0, filler), (0, 0)))
    targets = jnp.pad(targets, (0, filler), constant_values=-1)
    return hidden.reshape(-1, size, hidden.shape[-1]), targets.reshape(-1, size)


def _tiles(embedding: Array, bias: Array, dtype: DTypeLike) -> _Tiles:
    """The table, rounded to `dtype`, in equal tiles."""
    vocabulary, features = embedding.shape
    cpu = jax.default_backend() == "cpu"
    most, lanes = (TILE_WORDS, LANES) if cpu else (vocabulary, ACCELERATOR_LANES)
    tiles = -(-vocabulary // most)
    words = -(-vocabulary // (tiles * lanes)) * lanes
    filler = tiles * words - vocabulary
    rows = jnp.pad(embedding.astype(dtype), ((0, filler), (0, 0)))
    biases = jnp.pad(bias, (0, filler), constant_values=-jnp.inf)
    first = words * jnp.arange(tiles, dtype=jnp.int32)
    return _Tiles(rows.reshape(tiles, words, features), biases.reshape(tiles, words), first)


def _normaliser(
    hidden: Array, tiles: _Tiles, dtype: DTypeLike, keep: Callable[[Array, Array], Any]
) -> tuple[Array, Any]:
    """The logarithm of the softmax' denominator `[tokens]`, and what `keep` makes of each tile's scores `[tokens,
    words]` and its first word, stacked."""

    def step(carry: tuple[Array, Array], tile: _Tiles) -> tuple[tuple[Array, Array], Any]:
        highest, total = carry
        scores = rounded_einsum("ne,ve->nv", hidden, tile.embedding, dtype) + tile.bias[None]
        higher = jnp.maximum(highest, scores.max(axis=1))
        total = total * jnp.exp(highest - higher) + jnp.exp(scores - higher[:, None]).sum(axis=1)
        return (higher, total), keep(scores, tile.first)

    # The lowest number and not -inf, whose difference from itself is none: all of a tile's words may be ruled out.
    zero = jnp.zeros(hidden.shape[0], jnp.float32)
    (highest, total), kept = lax.scan(step, (zero + jnp.finfo(jnp.float32).min, zero), tiles)
    return highest + jnp.log(total), kept


def _best(scores: Array, first: Array) -> tuple[Array, Array]:
    """Each token's highest score in a tile, and the first word that has it."""
    highest = scores.max(axis=1)
    words = jnp.arange(scores.shape[1], dtype=jnp.int32)[None]
    return highest, first + jnp.where(scores == highest[:, None], words, scores.shape[1]).min(axis=1)


def _token_losses(hidden: Array, targets: Array, normaliser: Array, tiles: _Tiles, dtype: DTypeLike) -> Array:
    """The losses of the tokens `[tokens]`, 0 where the target is -1."""
    words = jnp.maximum(targets, 0)
    rows = jnp.take(tiles.embedding.reshape(-1, hidden.shape[1]), words, axis=0)
    products = hidden.astype(dtype).astype(jnp.float32) * rows.astype(jnp.float32)
    chosen = products.sum(axis=1) + jnp.take(tiles.bias.reshape(-1), words)
    return jnp.where(targets >= 0, normaliser - chosen, jnp.float32(0))


def _forward(
    hidden: Array, embedding: Array, bias: Array, targets: Array, dtype: DTypeLike
) -> tuple[Array, tuple[Array, Array, Array]]:
    tiles = _tiles(embedding, bias, dtype)
    count = jnp.maximum((targets >= 0).sum(), 1).astype(jnp.float32)

    def step(carry: tuple[Array, Array, Array], chunk: tuple[Array, Array]) -> tuple[tuple[Array, Array, Array], Array]:
        loss, d_table, d_bias = carry
        normaliser, scores = _normaliser(chunk[0], tiles, dtype, lambda scores, first: scores)
        losses = _token_losses(*chunk, normaliser, tiles, dtype)
        weights = jnp.where(chunk[1] >= 0, 1 / count, jnp.float32(0))
        d_hidden, d_table, d_bias = _gradients(chunk, scores, normaliser, weights, tiles, d_table, d_bias, dtype)
        return (loss + losses.sum(), d_table, d_bias), d_hidden

    features = hidden.shape[-1]
    d_table = jnp.zeros((len(tiles.first), features, tiles.bias.shape[1]), jnp.float32)
    start = (jnp.float32(0), d_table, jnp.zeros_like(tiles.bias))
    (loss, d_table, d_bias), d_hidden = lax.scan(step, start, _chunks(hidden, targets))
    # XLA would make a slow gather of a transposition that it merges with what comes before and after.
    d_embedding = lax.optimization_barrier(lax.optimization_barrier(d_table).transpose(0, 2, 1))
    d_embedding = d_embedding.reshape(-1, features)[: embedding.shape[0]]
    d_hidden = d_hidden.reshape(-1, features)[: hidden.shape[0]]
    return loss / count, (d_hidden, d_embedding, d_bias.reshape(-1)[: bias.shape[0]])


def _gradients(
    chunk: tuple[Array, Array],
    scores: Array,
    normaliser: Array,
    weights: Array,
    tiles: _Tiles,
    d_table: Array,
    d_bias: Array,
    dtype: DTypeLike,
) -> tuple[Array, Array, Array]:
    """The gradient for the hidden states of a chunk of tokens, and those of the table `[tiles, embedding, words]`, a
    layout that the product makes fastest, and of the bias with the chunk's share added.

    Args:
        chunk: hidden states `[tokens, embedding]` and targets `[tokens]`.
        scores: logits `[tiles, tokens, words]`.
        normaliser: of each token.
        weights: of each token's loss in the mean.
        tiles: the table.
        d_table: its gradient so far.
        d_bias: the same for the bias.
        dtype: what the operands of products are rounded to.
    """
    hidden, targets = chunk
    # XLA would put the transposition into the product, which is slower and not to be had with bfloat16.
    transposed = lax.optimization_barrier(hidden.T)

    def step(d_hidden: Array, tile: tuple[Array, _Tiles, Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        tile_scores, table, d_rows, d_biases = tile
        words = table.first + jnp.arange(tile_scores.shape[1], dtype=jnp.int32)
        probabilities = jnp.exp(tile_scores - normaliser[:, None])
        one_hot = (targets[:, None] == words[None]).astype(jnp.float32)
        d_scores = (probabilities - one_hot) * weights[:, None]
        d_rows = d_rows + rounded_einsum("en,nv->ev", transposed, d_scores, dtype)
        # A product with ones: XLA adds up columns ten times slower.
        d_biases = d_biases + rounded_einsum("n,nv->v", jnp.ones_like(weights), d_scores, jnp.float32)
        return d_hidden + rounded_einsum("nv,ve->ne", d_scores, table.embedding, dtype), (d_rows, d_biases)

    d_hidden, (d_table, d_bias) = lax.scan(step, jnp.zeros_like(hidden), (scores, tiles, d_table, d_bias))
    return d_hidden, d_table, d_bias


def _backward(dtype: DTypeLike, saved: tuple[Array, Array, Array], d_loss: Array) -> tuple[Array, Array, Array, None]:
    d_hidden, d_embedding, d_bias = (d_loss * saved_part for saved_part in saved)
    return d_hidden, d_embedding, d_bias, None


tied_softmax_loss.defvjp(_forward, _backward)
