"""The language model's stream: all documents as one text, read by `batch_size` readers at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.errors import ConfigError, DataError


class LanguageModelStream:
    """Batches of consecutive windows over the concatenated documents, laid out as fastai's `LMDataLoader` does.

    With T tokens in the corpus, each of the `batch_size` readers has a row of L = (T - 1) // batch_size tokens; reader
    j of batch i reads the tokens from j·L + i·bptt on, and its targets are the same tokens shifted by one. So a
    reader's hidden state can be carried from batch to batch. The last batch of an epoch is shorter unless bptt
    divides L.

    The concatenation is never made: each batch is gathered from the corpus by position, so a memory-mapped corpus
    may be larger than memory and `epoch(e, start_batch=k)` costs the same for every k.

    Args:
        corpus: the documents.
        batch_size: readers; default 64 as fastai.
        bptt: time steps in a batch; default 72 as fastai's `seq_len`.
        backwards: read each document from its last token to its first (fastai's backward language model).
        shuffle: put the documents in a new order in each epoch, drawn from (seed, epoch); fastai does in training.
        seed: of the order, not negative.

    Raises:
        DataError: fewer than batch_size + 1 tokens.
        ConfigError: a size that is not positive, or a negative seed.
    """

    def __init__(
        self,
        corpus: Corpus,
        batch_size: int = 64,
        bptt: int = 72,
        backwards: bool = False,
        shuffle: bool = False,
        seed: int = 0,
    ) -> None:
        if batch_size < 1 or bptt < 1 or seed < 0:
            raise ConfigError(
                f"batch_size and bptt must be at least 1 and seed at least 0, not {batch_size}, {bptt} and {seed}."
            )
        self.row_length = (corpus.n_tokens - 1) // batch_size
        if self.row_length < 1:
            raise DataError(
                f"The corpus has {corpus.n_tokens} tokens, too few for a batch of {batch_size} rows; "
                f"give more text or a batch size of at most {max(corpus.n_tokens - 1, 1)}."
            )
        self.corpus = corpus
        self.batch_size = batch_size
        self.bptt = bptt
        self.backwards = backwards
        self.shuffle = shuffle
        self.seed = seed

    @property
    def batches_per_epoch(self) -> int:
        """Batches in every epoch, the shorter last one included."""
        return -(-self.row_length // self.bptt)

    @property
    def tokens_per_epoch(self) -> int:
        """Targets in every epoch; what is left of the corpus, fewer than batch_size + 1 tokens, is not read."""
        return self.row_length * self.batch_size

    def epoch(self, epoch: int = 0, start_batch: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields (inputs, targets), each int32 [time, batch], where time is bptt or, in the last batch, what is left.

        Args:
            epoch: its number, not negative; decides the order of the documents where `shuffle` is set.
            start_batch: the first batch to yield; those before it are not read.

        Raises:
            ConfigError: a negative epoch, or a start outside the epoch.
        """
        if epoch < 0 or not 0 <= start_batch <= self.batches_per_epoch:
            raise ConfigError(
                f"Epoch {epoch} cannot start at batch {start_batch}; "
                f"epochs begin at 0 and have {self.batches_per_epoch} batches."
            )
        return self._batches(self.document_order(epoch), start_batch)

    def document_order(self, epoch: int) -> np.ndarray:
        """The documents in the order in which the epoch reads them, [documents] int64."""
        if not self.shuffle:
            return np.arange(len(self.corpus))
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.corpus))

    def _batches(self, order: np.ndarray, start_batch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        ends = np.cumsum(self.corpus.lengths[order])
        row_starts = np.arange(self.batch_size) * self.row_length
        for start in range(start_batch * self.bptt, self.row_length, self.bptt):
            # One more than the inputs: the target of the last input.
            time = min(self.bptt, self.row_length - start) + 1
            positions = (row_starts + start)[:, None] + np.arange(time)
            block = self._gather(positions, order, ends).T.astype(np.int32, order="C")
            yield block[:-1], block[1:]

    def _gather(self, positions: np.ndarray, order: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """The tokens at positions [rows, time] of the concatenation in which document order[i] ends before ends[i]."""
        place = np.searchsorted(ends, positions, side="right")
        document = order[place]
        if self.backwards:
            source = self.corpus.offsets[document] + (ends[place] - 1 - positions)
        else:
            source = self.corpus.offsets[document + 1] - (ends[place] - positions)
        return np.asarray(self.corpus.tokens)[source]
