"""Text generation with the recurrent state carried on the device: the cost is linear in the length."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from ulmfit_jax.errors import ConfigError
from ulmfit_jax.inference.beam_search import BeamSearch
from ulmfit_jax.inference.repeats import recent_tokens, with_token, without_repeats
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
        """Bind a model; its programs are compiled at the first use."""
        self._definition = language_model_definition(architecture)
        self._architecture, self._parameters, self._tokenizer = architecture, parameters, tokenizer
        self._read = jax.jit(jax.vmap(partial(_read, self._definition), (None, 0, 0, 0)))
        self._programs: dict[tuple[Any, ...], Any] = {}

    def generate(
        self, prompts: Sequence[str], n_words: int, sampling: Sampling, stop: Sequence[str], seed: int
    ) -> list[str]:
        """Continue each prompt; see `LanguageModel.generate`.

        Raises:
            ConfigError: there are no words to add.
        """
        read = self._prompts(prompts, n_words)
        generated: list[list[int]] = [[] for _ in read]
        blocks = self._blocks(read, sampling, seed) if read else iter(())
        while any(self._is_short(ids, n_words, stop) for ids in generated):
            for ids, block in zip(generated, next(blocks), strict=True):
                ids += block
        return [self._text(tokens, ids, n_words, stop) for tokens, ids in zip(read, generated, strict=True)]

    def search(
        self, prompts: Sequence[str], n_words: int, beams: int, no_repeat: int, stop: Sequence[str]
    ) -> list[str]:
        """The continuations that beam search finds the most probable; see `LanguageModel.generate`.

        Raises:
            ConfigError: there are no words to add.
        """
        key = ("beams", beams, no_repeat)
        if key not in self._programs:
            self._programs[key] = BeamSearch(self._definition, _NEVER, beams, no_repeat)
        search: BeamSearch = self._programs[key]
        texts = []
        for tokens in self._prompts(prompts, n_words):
            state, scores = jax.tree.map(lambda array: array[0], self._after([tokens]))
            found = search.start(state, scores, recent_tokens(tokens, no_repeat))
            ids = np.zeros((beams, 0), np.int32)
            while self._is_short(ids[0].tolist(), n_words, stop):
                found, ids = search.go_on(self._parameters, found, ids)
            texts.append(self._text(tokens, ids[0].tolist(), n_words, stop))
        return texts

    def stream(self, prompt: str, n_words: int, sampling: Sampling, stop: Sequence[str], seed: int) -> Iterator[str]:
        """The text of `generate` piece by piece, as soon as no later token can change a piece; the prompt first."""
        (tokens,) = self._prompts([prompt], n_words)
        blocks, ids = self._blocks([tokens], sampling, seed), list[int]()
        sent = self._tokenizer.decode(tokens)
        yield sent
        held_back = max(map(len, stop), default=1) - 1
        while self._is_short(ids, n_words, stop):
            ids += next(blocks)[0]
            text = self._text(tokens, ids, n_words, stop)
            if self._is_short(ids, n_words, stop):
                settled = self._text(tokens, ids[: -_BLOCK // 2], n_words, stop)
                text = os.path.commonprefix([text[: len(text) - held_back], settled])
                text = text[: text.rfind(" ") + 1]
            if len(text) > len(sent):
                yield text[len(sent) :]
                sent = text

    def _prompts(self, prompts: Sequence[str], n_words: int) -> list[np.ndarray]:
        if n_words < 1:
            raise ConfigError(f"n_words is {n_words}, it has to be at least 1")
        return [self._tokenizer.encode(prompt) for prompt in prompts]

    def _blocks(self, read: Sequence[np.ndarray], sampling: Sampling, seed: int) -> Iterator[list[list[int]]]:
        """Blocks of tokens that follow each prompt, without end."""
        key = ("sample", sampling.ranks, sampling.no_repeat)
        if key not in self._programs:
            step = partial(_sample, self._definition, ranks=sampling.ranks, no_repeat=sampling.no_repeat)
            self._programs[key] = jax.jit(jax.vmap(step, (None, 0, 0, None)))
        recent = np.stack([recent_tokens(tokens, sampling.no_repeat) for tokens in read])
        carry = (*self._after(read), recent)
        keys = jnp.stack([jax.random.key((seed + row) % 2**32) for row in range(len(read))])
        limits = {name: np.asarray(getattr(sampling, name), dtype) for name, dtype in _TYPES.items()}
        while True:
            keys, block_keys = jnp.moveaxis(jax.vmap(jax.random.split)(keys), 1, 0)
            carry, blocks = self._programs[key](self._parameters, carry, block_keys, limits)
            yield np.asarray(blocks).tolist()

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
    definition: ModuleDefinition,
    parameters: Tree,
    carry: tuple[Any, Array, Array],
    key: Array,
    limits: dict[str, Array],
    *,
    ranks: bool,
    no_repeat: int,
) -> tuple[tuple[Any, Array, Array], Array]:
    """Draw a block of tokens one after the other, `[block]` int32; `limits` are those of `Sampling`.

    The carry is that of `_read` and the last tokens (`ulmfit_jax.inference.repeats`).
    """
    network: LanguageModelNetwork = definition.bind(parameters)

    def step(carry: tuple[Any, Array, Array], step_key: Array) -> tuple[tuple[Any, Array, Array], Array]:
        state, scores, recent = carry
        scores = without_repeats(scores.at[jnp.array(_NEVER)].set(-jnp.inf), recent, no_repeat)
        token = jax.random.categorical(step_key, allowed(scores, **limits, ranks=ranks)).astype(jnp.int32)
        next_scores, state = network.next_token_logits(token[None, None], state)
        return (state, next_scores[0], with_token(recent, token)), token

    return lax.scan(step, carry, jax.random.split(key, _BLOCK))
