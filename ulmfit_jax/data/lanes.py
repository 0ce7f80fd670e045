"""Documents one after another in lanes, for passes that need no gradients: next to nothing is computed for padding.

Training has to cut each document into chunks of its own, where its gradient ends. A pass without gradients has not: the
state is carried on from block to block, and set to zero where a document ends, wherever in a block that is.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ulmfit_jax.data.batches import read_document, read_lengths
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.text.rules import PAD_ID


class LaneBlock(NamedTuple):
    """The next tokens of all lanes.

    Attributes:
        tokens: int32 [steps, lanes], PAD_ID where a lane has come to its end.
        pooled: bool [steps, lanes], whether a token is among those that its document is judged by.
        ends: bool [steps, lanes], whether a token is the last of its document.
        finished: int64 [documents that end here, 3]: their number in the corpus, step and lane.
    """

    tokens: np.ndarray
    pooled: np.ndarray
    ends: np.ndarray
    finished: np.ndarray


class DocumentLanes:
    """All documents of a corpus, each once, spread over lanes of about the same length.

    Args:
        corpus: the documents, at least one; an empty one is read as the single token BOS_ID.
        lanes: rows that are read at the same time.
        bptt: tokens of a lane in a block, and of a chunk in training, which `max_length` is cut down to.
        max_length: tokens at a document's end that it is judged by: the last `max_length // bptt` chunks, at least one.
        backwards: each document from its last token to its first.

    Raises:
        ConfigError: a size that is not positive.
    """

    def __init__(self, corpus: Corpus, lanes: int, bptt: int = 72, max_length: int = 1440, backwards: bool = False):
        if min(lanes, bptt, max_length) < 1:
            raise ConfigError(f"lanes, bptt and max_length must be at least 1, not {lanes}, {bptt} and {max_length}.")
        self.lanes, self.bptt = lanes, bptt
        self._corpus, self._backwards = corpus, backwards
        lengths = read_lengths(corpus)
        chunks = -(-lengths // bptt)
        self._pooled_from = np.maximum(chunks - max(max_length // bptt, 1), 0) * bptt
        self._documents = _spread(lengths, lanes)
        longest = max(int(lengths[documents].sum()) for documents in self._documents)
        self.blocks = -(-longest // bptt)
        """How many there are."""

    def __iter__(self) -> Iterator[LaneBlock]:
        cursors = [_Cursor(documents) for documents in self._documents]
        for _ in range(self.blocks):
            yield self._block(cursors)

    def _block(self, cursors: list[_Cursor]) -> LaneBlock:
        tokens = np.full((self.bptt, self.lanes), PAD_ID, np.int32)
        pooled, ends = np.zeros((self.bptt, self.lanes), bool), np.zeros((self.bptt, self.lanes), bool)
        finished = []
        for lane, cursor in enumerate(cursors):
            step = 0
            while step < self.bptt and cursor.document is not None:
                ids, start = read_document(self._corpus, cursor.document, self._backwards), cursor.offset
                count = min(self.bptt - step, len(ids) - start)
                tokens[step : step + count, lane] = ids[start : start + count]
                positions = np.arange(start, start + count)
                pooled[step : step + count, lane] = positions >= self._pooled_from[cursor.document]
                step += count
                if start + count == len(ids):
                    ends[step - 1, lane] = True
                    finished.append((cursor.document, step - 1, lane))
                cursor.move(count, len(ids))
        return LaneBlock(tokens, pooled, ends, np.array(finished, np.int64).reshape(-1, 3))


class _Cursor:
    """Where a lane is being read: in which document, at which of its tokens."""

    def __init__(self, documents: list[int]):
        self._waiting = iter(documents)
        self.document = next(self._waiting, None)
        self.offset = 0

    def move(self, count: int, length: int) -> None:
        """On by so many tokens of a document of this length."""
        self.offset += count
        if self.offset == length:
            self.document, self.offset = next(self._waiting, None), 0


def cheapest_lanes(lengths: np.ndarray, choices: list[int], idle: int) -> int:
    """Which number of lanes reads documents of these lengths in the shortest time.

    The lanes are as long as the longest document, or as their share of all tokens.

    Args:
        lengths: tokens of each document, at least one of them.
        choices: numbers of lanes.
        idle: how many lanes a step would have to have for its products to take as long as all the rest of it, on all
            devices together.
    """
    longest, total = int(lengths.max()), int(lengths.sum())
    return min(choices, key=lambda lanes: max(longest, -(-total // lanes)) * (lanes + idle))


def _spread(lengths: np.ndarray, lanes: int) -> list[list[int]]:
    """The documents of each lane: longest first, each to the lane that is shortest so far."""
    documents: list[list[int]] = [[] for _ in range(lanes)]
    filled = [(0, lane) for lane in range(lanes)]
    for document in np.argsort(-lengths, kind="stable").tolist():
        tokens, lane = filled[0]
        documents[lane].append(document)
        heapq.heapreplace(filled, (tokens + int(lengths[document]), lane))
    return documents
