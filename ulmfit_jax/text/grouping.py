"""Tokens that make one word: its pieces, and the marks before it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ulmfit_jax.text.rules import BOS, EOS, MAJ, PAD, REP, UP, WREP
from ulmfit_jax.text.sentencepiece import SentencePieceTokenizer
from ulmfit_jax.text.tokenizer import Tokenizer

_WORD_START: Final = "▁"
_UNSHOWN: Final = (BOS, EOS, PAD)
_FOLLOWERS: Final = {MAJ: 1, UP: 1, REP: 2, WREP: 2, "t_up": 1, "tk_rep": 2, "tk_wrep": 2}
"""How many words belong to a mark (fastai's and those of its version 0.7): the word, or the count and the word."""


def word_groups(tokenizer: Tokenizer, ids: NDArray[np.integer[Any]]) -> list[tuple[str, list[int]]]:
    """The words of a document and the positions in `ids` of each one's tokens.

    Every position belongs to one word but those of `xxbos`, `xxeos` and `xxpad`, which show nothing. A mark at the end,
    without the word it speaks of, is a word by itself.

    Returns:
        For each word, in order, its text as `tokenizer.decode` shows it, and its positions, rising.
    """
    in_pieces = tokenizer.kind == SentencePieceTokenizer.kind
    groups: list[list[int]] = []
    followers = 0
    for position, piece in enumerate(tokenizer.pieces(ids)):
        name = piece.removeprefix(_WORD_START)
        if name in _UNSHOWN:
            continue
        starts = not in_pieces or piece.startswith(_WORD_START) or name in _FOLLOWERS
        if groups and (followers or not starts):
            groups[-1].append(position)
            followers -= starts
        else:
            groups.append([position])
        if name in _FOLLOWERS:
            followers = max(followers, 0) + _FOLLOWERS[name]
    return [(tokenizer.decode(ids[group]), group) for group in groups]
