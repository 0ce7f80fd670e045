"""Text generation with the recurrent state carried on the device: the cost is linear in the length."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.awd_lstm import LanguageModelNetwork, initial_state
from ulmfit_jax.nn.parameters import ModuleDefinition, Tree
from ulmfit_jax.text.rules import BOS_ID, PAD_ID, UNK_ID
from ulmfit_jax.text.tokenizer import Tokenizer
from ulmfit_jax.training.language_model import language_model_definition

_BLOCK = 16
"""Tokens sampled between two looks at how many words there are."""

_NEVER = (UNK_ID, PAD_ID, BOS_ID)
"""Tokens that are never generated: they stand for no text (fastai's `no_unk`), or begin another document."""


class Generator:
    """Continues texts with a language model."""

    def __init__(self, architecture: Architecture, parameters: Tree, tokenizer: Tokenizer):
        """Bind a model; its two programs are compiled at the first use."""
        definition = language_model_definition(architecture)
        self._architecture, self._parameters, self._tokenizer = architecture, parameters, tokenizer
        self._read = jax.jit(partial(_read, definition))
        self._sample = jax.jit(partial(_sample, definition))

    def generate(self, prompt: str, n_words: int, temperature: float, min_p: float, seed: int) -> str:
        """Continue `prompt`; see `LanguageModel.generate`.

        Raises:
            ConfigError: a number is out of its range.
        """
        _check(n_words, temperature, min_p)
        tokens = self._tokenizer.encode(prompt)
        padded = np.full(1 << max(len(tokens) - 1, 3).bit_length(), PAD_ID, np.int32)
        padded[: len(tokens)] = tokens
        carry = (initial_state(self._architecture, 1), jnp.zeros((self._architecture.vocabulary_size,), jnp.float32))
        carry = self._read(self._parameters, carry, padded, np.int32(len(tokens)))
        key = jax.random.key(seed)
        generated: list[int] = []
        while self._words(generated) <= n_words and len(generated) < 20 * n_words:
            key, block_key = jax.random.split(key)
            carry, block = self._sample(
                self._parameters, carry, block_key, jnp.float32(temperature), jnp.float32(min_p)
            )
            generated += np.asarray(block).tolist()
        ids = np.concatenate([tokens, np.array(self._first_words(generated, n_words), tokens.dtype)])
        return self._tokenizer.decode(ids)

    def _words(self, ids: list[int]) -> int:
        return self._tokenizer.decode(np.array(ids, np.int32)).count(" ") + 1 if ids else 0

    def _first_words(self, ids: list[int], n_words: int) -> list[int]:
        """The longest beginning of `ids` that shows no more than `n_words` words."""
        low, high = 0, len(ids)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self._words(ids[:middle]) <= n_words else (low, middle - 1)
        return ids[:low]


def _check(n_words: int, temperature: float, min_p: float) -> None:
    if n_words < 1:
        raise ConfigError(f"n_words is {n_words}, it has to be at least 1")
    if not temperature > 0:
        raise ConfigError(f"temperature is {temperature}, it has to be above 0 (below 1 is safer text, above 1 wilder)")
    if not 0 <= min_p < 1:
        raise ConfigError(f"min_p is {min_p}, it has to be at least 0 and below 1")


Carry = tuple[Any, Array]
"""Encoder state of one row, and the scores `[vocabulary]` of the next token."""


def _read(definition: ModuleDefinition, parameters: Tree, carry: Carry, tokens: Array, length: Array) -> Carry:
    """The carry after the first `length` of `tokens` `[padded length]`; padding changes nothing."""
    network: LanguageModelNetwork = definition.bind(parameters)

    def step(carry: Carry, item: tuple[Array, Array]) -> tuple[Carry, None]:
        index, token = item
        scores, state = network.next_token_logits(token[None, None], carry[0])
        kept = jax.tree.map(lambda new, old: jnp.where(index < length, new, old), (state, scores[0]), carry)
        return kept, None

    return lax.scan(step, carry, (jnp.arange(tokens.shape[0], dtype=jnp.int32), tokens))[0]


def _sample(
    definition: ModuleDefinition, parameters: Tree, carry: Carry, key: Array, temperature: Array, min_p: Array
) -> tuple[Carry, Array]:
    """Draw a block of tokens one after the other, `[block]` int32."""
    network: LanguageModelNetwork = definition.bind(parameters)

    def step(carry: Carry, step_key: Array) -> tuple[Carry, Array]:
        state, scores = carry
        scores = scores.at[jnp.array(_NEVER)].set(-jnp.inf)
        probabilities = jax.nn.softmax(scores)
        best = scores == scores.max()
        scores = jnp.where((probabilities >= min_p) | best, scores, -jnp.inf)
        token = jax.random.categorical(step_key, scores / temperature).astype(jnp.int32)
        next_scores, state = network.next_token_logits(token[None, None], state)
        return (state, next_scores[0]), token

    return lax.scan(step, carry, jax.random.split(key, _BLOCK))
