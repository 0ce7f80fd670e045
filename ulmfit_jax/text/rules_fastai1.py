"""The text rules of fastai 1 (`fastai.text.transform` of version 1.0), for vocabularies that were made with them.

Repeats count from four, a newline gets spaces around it, and capitals are marked after the text is cut into tokens. One
thing differs from fastai 1: the rules never act on the `xxbos` in front, so that it is always the first token.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ulmfit_jax.text.rules import (
    BOS,
    LITERALS,
    MAJ,
    REP,
    UP,
    WREP,
    replace_literals,
    replace_surrogates,
    rm_useless_spaces,
)

SPECIALS_FASTAI1: Final = ("xxunk", "xxpad", "xxbos", "xxeos", "xxfld", "xxmaj", "xxup", "xxrep", "xxwrep")
"""The special tokens in fastai 1's order, with which its vocabularies begin."""

CHARACTER_RUN_OF_FOUR: Final = re.compile(r"(\S)\1{3,}")
WORD_RUN_OF_FOUR: Final = re.compile(r"(\b\w+\W+)(\1{3,})")

_LITERALS: Final = (*(pair for pair in LITERALS if pair[0] != "..."), (" @,@ ", ","), ("\\", " \\ "))
_SPACED: Final = re.compile(r"([/#\n])")


def apply_rules_fastai1(text: str) -> str:
    """The text as fastai 1 gives it to its tokenizer: capitals are still there, `xxbos ` is in front.

    >>> apply_rules_fastai1("I LOVED this movie!!!! It cost $1000")
    'xxbos I LOVED this movie xxrep 4 ! It cost $1000'
    """
    text = replace_literals(replace_surrogates(text), _LITERALS)
    text = replace_runs_of_four(rm_useless_spaces(text))
    text = _SPACED.sub(r" \1 ", text)
    return rm_useless_spaces(f"{BOS} {text}")


def replace_runs_of_four(text: str) -> str:
    """Marks for a character, or a word with the signs behind it, four times or more in a row.

    The count of `xxwrep` is the number of words that spaces separate, as in fastai: `no-no-no-no-` counts 2.
    """
    text = CHARACTER_RUN_OF_FOUR.sub(lambda run: f" {REP} {len(run[0])} {run[1]} ", text)
    return WORD_RUN_OF_FOUR.sub(lambda run: f" {WREP} {len(run[2].split()) + 1} {run[1]} ", text)


def mark_capitals(tokens: Iterable[str]) -> list[str]:
    """Every token in lower case, behind `xxup` if it was all capitals, behind `xxmaj` if only its first letter was.

    >>> mark_capitals(["The", "NASA", "I", "McDonald"])
    ['xxmaj', 'the', 'xxup', 'nasa', 'i', 'mcdonald']
    """
    marked: list[str] = []
    for token in tokens:
        if len(token) > 1 and token.isupper():
            marked.append(UP)
        elif len(token) > 1 and token[0].isupper() and token[1:].islower():
            marked.append(MAJ)
        marked.append(token.lower())
    return marked
