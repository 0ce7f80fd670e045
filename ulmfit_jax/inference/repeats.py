"""Which tokens would repeat a run of tokens: for texts in which no n-gram comes twice."""

from __future__ import annotations

from typing import Final

import jax.numpy as jnp
import numpy as np
from jax import Array

WINDOW: Final = 512
"""Tokens that are looked back on, so that a token costs the same however long the text is."""

_NOTHING: Final = -1


def recent_tokens(ids: np.ndarray, n: int) -> np.ndarray:
    """The last tokens of a text, `[WINDOW]` int32, as `without_repeats` takes them; `[0]` where n is 0."""
    if not n:
        return np.zeros(0, np.int32)
    return np.concatenate([np.full(WINDOW, _NOTHING, np.int32), ids.astype(np.int32)])[-WINDOW:]


def with_token(recent: Array, token: Array) -> Array:
    """The last tokens after one more."""
    return jnp.concatenate([recent[1:], token[None]]) if recent.shape[0] else recent


def without_repeats(scores: Array, recent: Array, n: int) -> Array:
    """Scores `[vocabulary]`, minus infinity for a token that would end an n-gram which `recent` holds already.

    Args:
        scores: of the next token.
        recent: see `recent_tokens`.
        n: length of the runs, at least 2; 0 leaves the scores as they are.
    """
    if not n:
        return scores
    starts = WINDOW - n + 1
    same = jnp.ones((starts,), bool)
    for place in range(n - 1):
        ending = recent[WINDOW - (n - 1) + place]
        same &= (recent[place : place + starts] == ending) & (ending != _NOTHING)
    followers = recent[n - 1 :]
    return scores.at[jnp.where(same, followers, scores.shape[0])].set(-jnp.inf, mode="drop")
