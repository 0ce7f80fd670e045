"""Plain text tables of what a model gets to read."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.stream import LanguageModelStream

if TYPE_CHECKING:
    from ulmfit_jax.text.tokenizer import Tokenizer

# Characters of a text that are shown.
_SHOWN = 400


def show_documents(
    texts: TextDataset | Sequence[str],
    labels: Sequence[str] | None,
    tokenizer: Tokenizer,
    rows: int = 6,
    width: int = 100,
) -> str:
    """A table of the first documents as tokens, beside their labels.

    Args:
        texts: a data set, or raw texts.
        labels: one for each text; None: those of the data set, if it has any.
        tokenizer: makes the tokens.
        rows: documents to show.
        width: of the column of text, in characters.
    """
    if isinstance(texts, TextDataset):
        if labels is None:
            sets = texts.label_sets
            labels = texts.labels if sets is None else [", ".join(names) or "-" for names in sets]
        texts = texts.texts
    shown = [_tokens(tokenizer, tokenizer.encode(text)) for text in texts[:rows]]
    if labels is None:
        return format_table(["text"], [[text] for text in shown], width)
    return format_table(["text", "label"], [list(row) for row in zip(shown, labels, strict=False)], width)


def show_language_model_batch(stream: LanguageModelStream, tokenizer: Tokenizer, rows: int = 4, width: int = 60) -> str:
    """A table of the first batch of a stream: what is read and, shifted by one token, what is to be foretold.

    Args:
        stream: whose epoch 0 is looked into.
        tokenizer: of the stream's corpus.
        rows: readers to show.
        width: of each of the two columns, in characters.
    """
    inputs, targets = next(stream.epoch(0))
    pairs = [(inputs[:, row], targets[:, row]) for row in range(min(rows, stream.batch_size))]
    return format_table(
        ["text", "text_"], [[_tokens(tokenizer, read), _tokens(tokenizer, next_)] for read, next_ in pairs], width
    )


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """A table whose cells are wrapped at `width` characters, columns separated by " | ", rows by a line."""
    cells = [[textwrap.wrap(cell, width) or [""] for cell in row] for row in [header, *rows]]
    widths = [max(len(line) for row in cells for line in row[column]) for column in range(len(header))]
    rule = "-+-".join("-" * w for w in widths)
    lines: list[str] = []
    for row in cells:
        for i in range(max(map(len, row))):
            parts = [(cell[i] if i < len(cell) else "").ljust(w) for cell, w in zip(row, widths, strict=True)]
            lines.append(" | ".join(parts).rstrip())
        lines.append(rule)
    return "\n".join(lines)


def _tokens(tokenizer: Tokenizer, ids: np.ndarray) -> str:
    # A token takes at least one character and a space; more than this many are not shown anyway.
    text = " ".join(tokenizer.pieces(ids[: _SHOWN // 2 + 1])).replace("\n", "\\n")
    return text if len(text) <= _SHOWN else text[:_SHOWN].rpartition(" ")[0] + " …"
