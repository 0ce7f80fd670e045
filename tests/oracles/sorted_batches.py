"""The slow twins of `DocumentBatches`: fastai's `SortedDL` order, without the documents that fill no batch, and
`Pad_Chunk` padding, in plain Python."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def training_order(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """The documents of each batch of a training epoch."""
    generator = np.random.default_rng([seed, epoch])
    order = [int(i) for i in generator.permutation(len(lengths))]
    longest = order.index(max(range(len(lengths)), key=lambda i: lengths[i]))
    order[0], order[longest] = order[longest], order[0]
    if len(order) > batch_size:
        order = order[: len(order) - len(order) % batch_size]
    piece = 50 * batch_size
    ordered: list[int] = []
    for start in range(0, len(order), piece):
        ordered += sorted(order[start : start + piece], key=lambda i: lengths[i], reverse=True)
    batches = [ordered[i : i + batch_size] for i in range(0, len(ordered), batch_size)]
    if len(batches) < 3:
        return batches
    middle = [batches[1 + i] for i in generator.permutation(len(batches) - 2)]
    return [batches[0], *middle, batches[-1]]


def padded(document: Sequence[int], width: int, bptt: int, pad: int) -> list[int]:
    """A document padded to a width: whole chunks on the left, the rest on the right."""
    missing = width - len(document)
    return [pad] * (missing // bptt * bptt) + list(document) + [pad] * (missing % bptt)
