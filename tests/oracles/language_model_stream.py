"""The slow twin of `LanguageModelStream`: makes the whole text and slices it, in plain Python."""

from __future__ import annotations

from collections.abc import Sequence


def language_model_batches(
    documents: Sequence[Sequence[int]], order: Sequence[int], batch_size: int, bptt: int, backwards: bool
) -> list[tuple[list[list[int]], list[list[int]]]]:
    """All (inputs, targets) of an epoch, each [time][batch]."""
    text: list[int] = []
    for index in order:
        document = list(documents[index])
        text += reversed(document) if backwards else document
    row_length = (len(text) - 1) // batch_size
    batches = []
    for start in range(0, row_length, bptt):
        times = range(start, min(start + bptt, row_length))
        inputs = [[text[row * row_length + time] for row in range(batch_size)] for time in times]
        targets = [[text[row * row_length + time + 1] for row in range(batch_size)] for time in times]
        batches.append((inputs, targets))
    return batches
