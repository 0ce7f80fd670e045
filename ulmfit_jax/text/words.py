"""Words, cut much as fastai's spaCy tokenizer cuts English, by a few rules of our own: no dependency, no model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from ulmfit_jax.errors import ArtifactError, ConfigError
from ulmfit_jax.text.memo import MemoEncoder
from ulmfit_jax.text.rules import PAD, SPECIALS, UNK_ID, apply_rules
from ulmfit_jax.text.vocabulary import Vocabulary
from ulmfit_jax.text.vocabulary_tokenizer import VocabularyTokenizer

WORDS_VERSION: Final = 1
"""Stands in the tokenizer's file; changes whenever `split_words` cuts any text differently."""

_TOKEN: Final = re.compile(
    r"""
      \n+                                                      # line breaks
    | n['’]t(?!\w)                                             # the second half of do|n't
    | ['’](?:s|m|d|re|ve|ll)(?!\w)                             # the second half of mcdonald|'s and they|'re
    | (?:[^\W\d_]\.)+[^\W\d_](?!\w)                            # u.s and e.g, without the last full stop
    | \d++(?:[.,:]\d++)+(?!\w)                                 # 1,000 and 3.5 and 10:30
    | \w+?(?=n['’]t(?!\w))                                     # the first half of do|n't
    | \w++(?:['’](?!(?:s|m|d|re|ve|ll)(?!\w))\w++)*            # any other word, as one: o'connor, 1980s
    | --|\.\.|''|``                                            # pairs that are one sign
    | \S                                                       # any other character by itself
    """,
    re.VERBOSE,
)


def split_words(ruled: str) -> list[str]:
    """The words, signs and line breaks of a text to which the rules have been applied.

    Cuts off contractions (`do n't`, `mcdonald 's`) and every sign by itself (`e - mail`, `$ 1`), keeps abbreviations
    (`u.s`), numbers (`1,000`) and names (`o'connor`) whole; a run of newlines is one token, other whitespace is none.
    Combining marks count as signs: for a script that needs them inside words, take `SentencePieceTokenizer`.
    """
    return _TOKEN.findall(ruled)


class WordTokenizer(VocabularyTokenizer):
    """Whole words by `split_words` over the text that `apply_rules` gives, with a fixed vocabulary.

    A word that is not in the vocabulary gets id 0 (`xxunk`), and so does `xxpad` where a text writes it.

    Args:
        vocabulary: every word and its id.
    """

    kind: ClassVar[str] = "words"
    file_name: ClassVar[str] = "words.json"

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__(vocabulary)
        self._encoder = MemoEncoder(self._encode_words, keep_newlines=True)

    @classmethod
    def train(cls, texts: Iterable[str], max_size: int = 60_000, min_freq: int = 3) -> WordTokenizer:
        """Count the words of raw texts and keep the most frequent; see `VocabularyTokenizer.adapted`."""
        return cls(Vocabulary(SPECIALS)).adapted(texts, max_size, min_freq)

    @classmethod
    def from_bytes(cls, content: bytes) -> WordTokenizer:
        """The tokenizer whose `to_bytes` gave these bytes.

        Raises:
            ArtifactError: the bytes are something else.
        """
        try:
            saved = json.loads(content)
            if saved["words_version"] != WORDS_VERSION:
                raise ArtifactError(
                    f"{cls.file_name} cuts words by version {saved['words_version']!r}, but this version of ulmfit_jax "
                    f"has {WORDS_VERSION}; load it with the version that saved it"
                )
            return cls(Vocabulary(tuple(saved["tokens"])))
        except (ValueError, RecursionError, ConfigError, KeyError, TypeError) as error:
            raise ArtifactError(
                f"{cls.file_name} is not what WordTokenizer.save writes ({error}); copy it again"
            ) from error

    def to_bytes(self) -> bytes:
        """What `save` writes: JSON with one token a line, in the order of the ids."""
        saved = {"words_version": WORDS_VERSION, "tokens": self.vocabulary.tokens}
        return json.dumps(saved, ensure_ascii=False, indent=0).encode()

    def words(self, text: str) -> list[str]:
        """The words of a raw text, special tokens among them."""
        return split_words(apply_rules(text))

    def encode(self, text: str) -> NDArray[np.int32]:
        """The ids of a raw text, int32 `[tokens]`, beginning with `BOS_ID`."""
        return self._encoder.encode(text)

    def with_vocabulary(self, vocabulary: Vocabulary) -> Self:
        """The same cuts with other words."""
        return type(self)(vocabulary)

    def __reduce__(self) -> tuple[type[WordTokenizer], tuple[Vocabulary]]:
        return type(self), (self.vocabulary,)

    def _encode_words(self, words: list[str]) -> list[list[int]]:
        index = self.vocabulary.index
        return [[UNK_ID if part == PAD else index(part) for part in split_words(word)] for word in words]
