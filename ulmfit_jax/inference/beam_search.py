"""Beam search: the most probable continuation that a search over several at a time finds."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from ulmfit_jax.inference.repeats import with_token, without_repeats
from ulmfit_jax.nn.awd_lstm import LanguageModelNetwork
from ulmfit_jax.nn.parameters import ModuleDefinition, Tree

BLOCK = 16
"""Tokens between two looks at how long the texts are."""


class Beams(NamedTuple):
    """Continuations of one prompt that are searched side by side, the most probable one first.

    Attributes:
        state: of the encoder, arrays `[beams, …]`.
        scores: of their next tokens, `[beams, vocabulary]`.
        total: their log probabilities, `[beams]` float32.
        recent: their last tokens, `[beams, window]` (`ulmfit_jax.inference.repeats`).
    """

    state: Any
    scores: Array
    total: Array
    recent: Array


class BeamSearch:
    """Searches with one model; each prompt by itself, so that it gets the same text alone and among others."""

    def __init__(self, definition: ModuleDefinition, never: tuple[int, ...], beams: int, no_repeat: int):
        """`never` are tokens that are not generated; one program is compiled for each number of beams and n."""
        self._beams = beams
        step = partial(_block, definition, never=never, no_repeat=no_repeat)
        self._block: Any = jax.jit(step)

    def start(self, state: Any, scores: Array, recent: np.ndarray) -> Beams:
        """All beams after the prompt; all but the first are nothing yet, or they would all be the same."""
        total = np.full(self._beams, -np.inf, np.float32)
        total[0] = 0
        repeated = (jnp.repeat(array, self._beams, axis=0) for array in (scores[None], jnp.asarray(recent)[None]))
        state = jax.tree.map(lambda array: jnp.repeat(array, self._beams, axis=0), state)
        scores, last = repeated
        return Beams(state, scores, jnp.asarray(total), last)

    def go_on(self, parameters: Tree, beams: Beams, texts: np.ndarray) -> tuple[Beams, np.ndarray]:
        """Another block of tokens; `texts` `[beams, tokens]` int32 are those so far, and come back longer."""
        beams, (parents, tokens) = self._block(parameters, beams)
        for parent, token in zip(np.asarray(parents), np.asarray(tokens), strict=True):
            texts = np.concatenate([texts[parent], token[:, None]], axis=1)
        return beams, texts


def _block(
    definition: ModuleDefinition, parameters: Tree, beams: Beams, *, never: tuple[int, ...], no_repeat: int
) -> tuple[Beams, tuple[Array, Array]]:
    """A block of tokens of every beam, and, for each token, which beam it continued: `[block, beams]` each."""
    network: LanguageModelNetwork = definition.bind(parameters)
    width, vocabulary = beams.scores.shape

    def step(beams: Beams, _: None) -> tuple[Beams, tuple[Array, Array]]:
        scores = beams.scores.at[:, jnp.array(never)].set(-jnp.inf)
        scores = jax.vmap(without_repeats, (0, 0, None))(scores, beams.recent, no_repeat)
        totals = beams.total[:, None] + jax.nn.log_softmax(scores)
        total, places = lax.top_k(totals.reshape(-1), width)
        parents, tokens = places // vocabulary, (places % vocabulary).astype(jnp.int32)
        state = jax.tree.map(lambda array: array[parents], beams.state)
        recent = jax.vmap(with_token)(beams.recent[parents], tokens)
        next_scores, state = network.next_token_logits(tokens[None], state)
        return Beams(state, next_scores, total, recent), (parents, tokens)

    return lax.scan(step, beams, None, length=BLOCK)
