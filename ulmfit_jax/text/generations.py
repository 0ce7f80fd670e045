"""The three generations of fastai: what each does to a text before it is cut into words, and to the words after."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from ulmfit_jax.text.rules import SPECIALS, apply_rules
from ulmfit_jax.text.rules_fastai07 import OWN_TOKENS, apply_rules_fastai07
from ulmfit_jax.text.rules_fastai1 import apply_rules_fastai1, mark_capitals


@dataclass(frozen=True)
class Generation:
    """The text rules that belong to a vocabulary.

    Attributes:
        name: as it stands in files and messages.
        before: raw text to the text that is cut; what it gives begins with `xxbos `.
        after: words to the words that have ids.
        uncut: words that the tokenizer keeps whole.
    """

    name: str
    before: Callable[[str], str]
    after: Callable[[Iterable[str]], list[str]]
    uncut: tuple[str, ...] = SPECIALS


def join_spaces(words: Iterable[str]) -> list[str]:
    """Words with U+2581 for each space inside them, so that words joined by spaces can be split again (fastai 2)."""
    return [word.replace(" ", "\u2581") for word in words]


FASTAI_2: Final = Generation("fastai-2", apply_rules, join_spaces)
FASTAI_1: Final = Generation("fastai-1", apply_rules_fastai1, mark_capitals)
FASTAI_07: Final = Generation("fastai-0.7", apply_rules_fastai07, list, (*SPECIALS, *OWN_TOKENS))

GENERATIONS: Final = {generation.name: generation for generation in (FASTAI_2, FASTAI_1, FASTAI_07)}
"""All of them by name."""
