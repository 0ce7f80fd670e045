"""Which token has which id, and how the rows of one vocabulary are found again in another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ulmfit_jax.errors import ArtifactError, ConfigError
from ulmfit_jax.text.rules import SPECIALS, UNK_ID

FILLER: Final = "xxfake"
"""fastai's entry for an id that no text has; it only rounds up the size of the vocabulary."""


@dataclass(frozen=True)
class Vocabulary:
    """An immutable list of tokens: a token's id is its position, and the special tokens have the ids 0 to 8.

    Attributes:
        tokens: every token in the order of the ids; only `xxfake` may occur more than once.

    Raises:
        ConfigError: the list does not begin with the special tokens, or a token occurs twice.
    """

    tokens: tuple[str, ...]
    _ids: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tokens", tuple(self.tokens))
        if self.tokens[: len(SPECIALS)] != SPECIALS:
            raise ConfigError(
                f"a vocabulary has to begin with the special tokens {' '.join(SPECIALS)}, but this one begins with "
                f"{' '.join(self.tokens[: len(SPECIALS)]) or 'nothing'}; build it with Vocabulary.build"
            )
        ids: dict[str, int] = {}
        for i, token in enumerate(self.tokens):
            if token != FILLER and ids.setdefault(token, i) != i:
                raise ConfigError(f"token {token!r} has the ids {ids[token]} and {i}; keep one of the two entries")
        object.__setattr__(self, "_ids", ids)

    @classmethod
    def build(cls, counts: Mapping[str, int], max_size: int = 60_000, min_freq: int = 3) -> Vocabulary:
        """The most frequent tokens of a corpus, as fastai `make_vocab` chooses and orders them.

        Among the `max_size` most frequent tokens those seen at least `min_freq` times (of equally frequent ones the
        first in `counts` wins), the special tokens in front, cut at `max_size`, then 1 to 8 `xxfake` so that the size
        is a multiple of 8: 60,000 tokens give 60,008 ids.

        Args:
            counts: how often each token occurs.
            max_size: the largest number of tokens, special tokens included (fastai `max_vocab=60000`).
            min_freq: the smallest count of a token that gets an id (fastai `min_freq=3`).

        Raises:
            ConfigError: `max_size` leaves no room for a token beside the special ones, or `min_freq` is below 1.
        """
        if max_size <= len(SPECIALS):
            raise ConfigError(
                f"max_size is {max_size}; it has to be over {len(SPECIALS)}, the number of special tokens"
            )
        if min_freq < 1:
            raise ConfigError(f"min_freq is {min_freq}; it has to be 1 or more")
        frequent = [token for token, count in Counter(counts).most_common(max_size) if count >= min_freq]
        reserved = {*SPECIALS, FILLER}
        tokens = [*SPECIALS, *(token for token in frequent if token not in reserved)][:max_size]
        return cls((*tokens, *[FILLER] * (8 - len(tokens) % 8)))

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._ids

    def index(self, token: str) -> int:
        """The id of a token; 0, the id of `xxunk`, for a token that is not in the vocabulary."""
        return self._ids.get(token, UNK_ID)

    def token(self, i: int) -> str:
        """The token of an id.

        Raises:
            ConfigError: there is no such id.
        """
        if not 0 <= i < len(self.tokens):
            raise ConfigError(f"id {i} is not in the vocabulary; use one from 0 to {len(self.tokens) - 1}")
        return self.tokens[i]


@dataclass(frozen=True)
class VocabularyMatch:
    """Where each token of a new vocabulary stands in an old one.

    Attributes:
        rows: int32 `[new_size]`, the old row of each new token, -1 for one the old vocabulary lacks; every `xxfake` has
            the row of the last old one.
        old_size: the number of rows of the old vocabulary.
        kept: how many tokens are in both.
        new: how many tokens only the new vocabulary has (`xxfake` not counted).
        dropped: how many tokens only the old vocabulary has (`xxfake` not counted).
    """

    rows: NDArray[np.int32]
    old_size: int
    kept: int
    new: int
    dropped: int

    def __str__(self) -> str:
        return (
            f"vocabulary: {self.kept:,} of {self.kept + self.new:,} tokens keep their pretrained rows, "
            f"{self.new:,} new tokens start from the mean row, {self.dropped:,} old tokens are dropped"
        )


def match_vocabularies(old: Vocabulary, new: Vocabulary) -> VocabularyMatch:
    """Find the row of every new token in the old vocabulary, by token and never by id (fastai `match_embeds`)."""
    old_rows = {token: row for row, token in enumerate(old.tokens)}
    rows = np.array([old_rows.get(token, -1) for token in new.tokens], dtype=np.int32)
    kept = len(old._ids.keys() & new._ids.keys())
    return VocabularyMatch(rows, len(old), kept, new=len(new._ids) - kept, dropped=len(old._ids) - kept)


def apply_match(
    match: VocabularyMatch, embedding: NDArray[np.floating], bias: NDArray[np.floating]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """The embedding and decoder bias of the new vocabulary, from those of the old one (fastai `match_embeds`).

    A token in both keeps its row and bias bit for bit; a new token gets the mean of all old rows and of all old biases,
    taken in float64.

    Args:
        match: from `match_vocabularies`.
        embedding: `[old_size, features]`, the embedding, which is also the tied decoder's matrix.
        bias: `[old_size]`, the decoder's bias.

    Returns:
        embedding `[new_size, features]` and bias `[new_size]`, in the dtypes given.

    Raises:
        ArtifactError: the arrays have another number of rows than the old vocabulary has tokens.
    """
    for name, array, rank in (("embedding", embedding, 2), ("bias", bias, 1)):
        if array.ndim != rank or len(array) != match.old_size:
            raise ArtifactError(
                f"the pretrained {name} has shape {array.shape}, but its vocabulary has {match.old_size} tokens; "
                f"load the vocabulary that was saved with these weights"
            )
    return _rows_or_mean(match.rows, embedding), _rows_or_mean(match.rows, bias)


def _rows_or_mean(rows: NDArray[np.int32], old: NDArray[np.floating]) -> NDArray[np.floating]:
    new = old[np.maximum(rows, 0)]
    new[rows < 0] = old.mean(axis=0, dtype=np.float64).astype(old.dtype)
    return new
