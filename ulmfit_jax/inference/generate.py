"""Text generation with the recurrent state carried on the device: the cost is linear in the length."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from ulmfit_jax.errors import ConfigError
from ulmfit_jax.inference.sampling import Sampling, allowed
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.awd_lstm import LanguageModelNetwork, initial_state
from ulmfit_jax.nn.parameters import ModuleDefinition, Tree
from ulmfit_jax.text.rules import BOS_ID, PAD_ID, UNK_ID
from ulmfit_jax.text.tokenizer import Tokenizer
from ulmfit_jax.training.language_model import language_model_definition

_BLOCK = 16
"""Tokens sampled between two looks at how many words there are."""

_TYPES = {"temperature": np.float32, "top_k": np.int32, "top_p": np.float32, "min_p": np.float32}

_NEVER = (UNK_ID, PAD_ID, BOS_ID)
"""Tokens that are never generated: they stand for no text (fastai's `no_unk`), or begin another document."""


class Generator:
    """Continues texts with a language model."""

    def __init__(self, architecture: Architecture, parameters: Tree, tokenizer: Tokenizer):
        """Bind a model; its two programs are compiled at the first use."""
        definition = language_model_definition(architecture)
        self._architecture, self._parameters, self._tokenizer = architecture, parameters, tokenizer
        self._read = jax.jit(jax.vmap(partial(_read, definition), (None, 0, 0, 0)))
        self._sample = {
            ranks: jax.jit(jax.vmap(partial(_sample, definition, ranks=ranks), (None, 0, 0, None)))
            for ranks in (False, True)
        }

    def generate(
        self, prompts: Sequence[str], n_words: int, sampling: Sampling, stop: Sequence[str], seed: int
    ) -> list[str]:
        """Continue each prompt; see `LanguageModel.generate`.

        Raises:
            ConfigError: there are no words to add.
        """
        if n_words < 1:
            raise ConfigError(f"n_words is {n_words}, it has to be at least 1")
        read = [self._tokenizer.encode(prompt) for prompt in prompts]
        if not read:
            return []
        carry = self._after(read)
        keys = jnp.stack([jax.random.key((seed + row) % 2**32) for row in range(len(read))])
        limits = {name: np.asarray(value, _TYPES[name]) for name, value in vars(sampling).items()}
        generated: list[list[int]] = [[] for _ in read]
        while any(self._is_short(ids, n_words, stop) for ids in generated):
            keys, block_keys = jnp.moveaxis(jax.vmap(jax.random.split)(keys), 1, 0)
            carry, blocks = self._sample[sampling.ranks](self._parameters, carry, block_keys, limits)
            for ids, block in zip(generated, np.asarray(blocks), strict=True):
                ids += block.tolist()
        return [self._text(tokens, ids, n_words, stop) for tokens, ids in zip(read, generated, strict=True)]

    def _after(self, read: Sequence[np.ndarray]) -> Carry:
        """The carry of each row after its prompt."""
        padded = np.full((len(read), 1 << max(max(map(len, read)) - 1, 3).bit_length()), PAD_ID, np.int32)
        for row, tokens in zip(padded, read, strict=True):
            row[: len(tokens)] = tokens
        sizes = self._architecture
        start = (initial_state(sizes, 1), jnp.zeros((sizes.vocabulary_size,), jnp.float32))
        carry = jax.tree.map(lambda array: jnp.broadcast_to(array, (len(read), *array.shape)), start)
        return self._read(self._parameters, carry, padded, np.array([len(tokens) for tokens in read], np.int32))

    def _is_short(self, ids: list[int], n_words: int, stop: Sequence[str]) -> bool:
        """Whether a row needs another block; tokens without end that show nothing do not count for ever."""
        shown = self._shown(ids)
        return _words(shown) <= n_words and len(ids) < 20 * n_words and not any(text in shown for text in stop)

    def _text(self, tokens: np.ndarray, ids: list[int], n_words: int, stop: Sequence[str]) -> str:
        """Prompt and continuation, which ends after `n_words`, or before the first of `stop`."""
        kept = np.array(self._first_words(ids, n_words), tokens.dtype)
        text = self._tokenizer.decode(np.concatenate([tokens, kept]))
        begin = len(self._tokenizer.decode(tokens))
        places = [place for ending in stop if (place := text.find(ending, begin)) >= 0]
        return text[: min(places)] if places else text

    def _shown(self, ids: list[int]) -> str:
        return self._tokenizer.decode(np.array(ids, np.int32)) if ids else ""

    def _first_words(self, ids: list[int], n_words: int) -> list[int]:
        """The longest beginning of `ids` that shows no more than `n_words` words."""
        low, high = 0, len(ids)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if _words(self._shown(ids[:middle])) <= n_words else (low, middle - 1)
        return ids[:low]


def _words(text: str) -> int:
    return text.count(" ") + 1 if text else 0


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
    definition: ModuleDefinition, parameters: Tree, carry: Carry, key: Array, limits: dict[str, Array], *, ranks: bool
) -> tuple[Carry, Array]:
    """Draw a block of tokens one after the other, `[block]` int32; `limits` are those of `Sampling`."""
    network: LanguageModelNetwork = definition.bind(parameters)

    def step(carry: Carry, step_key: Array) -> tuple[Carry, Array]:
        state, scores = carry
        scores = allowed(scores.at[jnp.array(_NEVER)].set(-jnp.inf), **limits, ranks=ranks)
        token = jax.random.categorical(step_key, scores).astype(jnp.int32)
        next_scores, state = network.next_token_logits(token[None, None], state)
        return (state, next_scores[0]), token

    return lax.scan(step, carry, jax.random.split(key, _BLOCK))
