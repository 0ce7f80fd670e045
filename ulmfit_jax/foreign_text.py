"""Whether a shipped model knows the kind of text that it is given: foreign text falls into many small pieces."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

from ulmfit_jax.pretrained import shipped_models
from ulmfit_jax.text.tokenizer import Tokenizer

FOREIGN_PIECES = 2.4
"""Pieces a word: the shipped English model has 1.6 in film reviews and 1.8 in questions, but 3.2 in German reviews."""

_TEXTS, _PIECES = 200, 200
"""So many texts are looked at; fewer pieces say nothing."""


def foreign_text_note(model: str | Path | None, tokenizer: Tokenizer, texts: Iterable[str]) -> str | None:
    """A sentence for the user of a shipped model that hardly knows such texts; None where there is nothing to say.

    Args:
        model: the name of the model; one that is not shipped was chosen by somebody who knows it.
        tokenizer: its tokeniser.
        texts: the first 200 are looked at.
    """
    if str(model) not in shipped_models():
        return None
    sample = list(itertools.islice(texts, _TEXTS))
    pieces, words = sum(len(tokenizer.encode(text)) for text in sample), sum(len(text.split()) for text in sample)
    if pieces < _PIECES or pieces <= FOREIGN_PIECES * words:
        return None
    return (
        f"{pieces / max(words, 1):.1f} pieces a word: {model}, which reads English, hardly knows such texts; "
        "a model that ulmfit pretrain makes from much text of this kind will do better"
    )
