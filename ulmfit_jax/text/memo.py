"""Text to ids at the speed of a dictionary: most words have been met before.

After the literal replacements, every rule but two looks at one whitespace-delimited word at a time, and so do the
tokenizers here. The ids of a text are then the ids of its words, one after the other, and a memo of word -> ids gives
them. The two exceptions are about repetition: `replace_rep` makes new words out of one, and `replace_wrep` looks at
neighbours. A text on which either could act (one IMDb review in six) goes through these two as a whole first.
"""

from __future__ import annotations

import re
import reprlib
from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice
from operator import eq
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ulmfit_jax.errors import DataError
from ulmfit_jax.text.rules import BOS_ID, CHARACTER_RUN, LITERAL_RULES, REPEAT_RULES, WORD_RULES

CAPACITY: Final = 1 << 21
"""Characters of all words in the memo: some 280,000 words, 60 MB. The memo is emptied after the text that fills it."""

EncodeWords = Callable[[list[str]], Iterable[Sequence[int]]]

_BOS: Final = array("i", [BOS_ID]).tobytes()
_WORDS_AND_NEWLINES: Final = re.compile(r"\n+|\S+")
_BETWEEN: Final = "\x1f"
"""Whitespace to Python and to the rules, so that no word can hold it; no rule adds or removes it."""


class MemoEncoder:
    """Encodes raw texts; `encode` gives the same ids as `encode_plainly`, sooner.

    Args:
        encode_words: the ids of each of some words to which the rules have been applied.
        keep_newlines: whether a run of newlines is a word as well; if not, newlines only delimit words.
    """

    def __init__(self, encode_words: EncodeWords, *, keep_newlines: bool = False) -> None:
        self._encode_words = encode_words
        self._keep_newlines = keep_newlines
        self._memo: dict[str, bytes] = {}
        self._characters = 0

    def encode(self, text: str) -> NDArray[np.int32]:
        """The ids of a raw text, int32 `[tokens]`, beginning with `BOS_ID`.

        Raises:
            DataError: the text is something else than a string.
        """
        if not isinstance(text, str):
            raise DataError(f"a text is {reprlib.repr(text)}, a {type(text).__name__}; give texts as str")
        for rule in LITERAL_RULES:
            text = rule(text)
        words = text.split()
        # `replace_wrep` wants three equal words in a row; that two are equal is quicker to see and still rare.
        repeated = any(map(eq, words, islice(words, 1, None)))
        ids = None if repeated else self._recall(self._split(text) if self._keep_newlines else words)
        if ids is None:
            for rule in REPEAT_RULES:
                text = rule(text)
            ids = self._recall(self._split(text))
        if ids is None:  # the count in a mark is a run itself: `xxrep 111 -`
            ids = self._encode_ruled(text)
        return ids

    def encode_plainly(self, text: str) -> NDArray[np.int32]:
        """The same ids without the memo: all rules on the whole text, then every word."""
        for rule in LITERAL_RULES:
            text = rule(text)
        for rule in REPEAT_RULES:
            text = rule(text)
        return self._encode_ruled(text)

    def _encode_ruled(self, text: str) -> NDArray[np.int32]:
        for rule in WORD_RULES:
            text = rule(text)
        ids = chain.from_iterable(self._encode_words(self._split(text)))
        return np.fromiter(chain((BOS_ID,), ids), dtype=np.int32)

    def _split(self, text: str) -> list[str]:
        return _WORDS_AND_NEWLINES.findall(text.strip()) if self._keep_newlines else text.split()

    def _recall(self, words: list[str]) -> NDArray[np.int32] | None:
        """The ids of words to which the word rules are still to be applied; None if `replace_rep` acts on one."""
        memo = self._memo
        unknown = [word for word in words if word not in memo]
        if unknown and not self._learn(memo, unknown):
            return None
        ids = bytearray().join(chain((_BOS,), map(memo.__getitem__, words)))
        if self._characters > CAPACITY:
            self._memo, self._characters = {}, 0
        return np.frombuffer(ids, dtype=np.int32)

    def _learn(self, memo: dict[str, bytes], words: list[str]) -> bool:
        """Put the words into the memo, all in one go; False if `replace_rep` acts on one of them."""
        words = list(dict.fromkeys(words))
        text = _BETWEEN.join(words)
        if CHARACTER_RUN.search(text):
            return False
        for rule in WORD_RULES:
            text = rule(text)
        ruled = [_WORDS_AND_NEWLINES.findall(part) for part in text.split(_BETWEEN)]
        ids = iter(self._encode_words(list(chain.from_iterable(ruled))))
        for word, parts in zip(words, ruled, strict=True):
            memo[word] = array("i", chain.from_iterable(islice(ids, len(parts)))).tobytes()
            self._characters += len(word)
        return True
