"""Documents in batches of few static shapes, for the classifier."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ulmfit_jax.counted import counted
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.errors import ConfigError, DataError
from ulmfit_jax.text.rules import BOS_ID, PAD_ID

# fastai's SortedDL sorts by length within pieces of this many batches.
SORTED_BATCHES = 50


@dataclass(frozen=True)
class DocumentBatch:
    """A batch of documents cut into chunks of bptt tokens, every document ending in the last chunk.

    Where all have fewer tokens than a chunk, the only chunk may be shorter.

    A document of n tokens has c = ceil(n / bptt) chunks; its j-th holds its tokens [j·bptt, (j+1)·bptt) and stands at
    chunk `chunks - c + j`. So padding is whole chunks before the document and fewer than bptt tokens after it
    (fastai's `Pad_Chunk`). Rows are sorted by length, longest first; filler rows come last.

    Attributes:
        tokens: int32 [chunks, steps, batch], PAD_ID where there is no token; steps is bptt where there are several.
        lengths: int32 [batch], tokens of each document, 0 for a filler row.
        labels: int32 [batch], -1 where there is none; [batch, classes] of documents that may have several labels, or
            float32 of those whose classes are given by probabilities.
        documents: int64 [batch], index in the corpus, -1 for a filler row.
    """

    tokens: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray
    documents: np.ndarray

    def read(self, row: int) -> np.ndarray:
        """The tokens of one row without the padding, [length] int32: the inverse of the layout."""
        chunks, steps, _ = self.tokens.shape
        length = int(self.lengths[row])
        start = (chunks - -(-length // steps)) * steps
        return self.tokens[:, :, row].reshape(-1)[start : start + length]


def chunk_buckets(max_chunks: int) -> tuple[int, ...]:
    """The chunk counts to which batches are rounded up, rising, the last at least `max_chunks`.

    2, 8, 32, 128, …: a run compiles one program for each count that occurs and for each stage, and compiling takes
    longer than training on a small data set. The network skips a chunk that is padding in every row, so the coarse
    steps cost memory but no time. The counts do not depend on the data, so that programs are shared among data sets.

    Raises:
        ConfigError: `max_chunks` is less than 1.
    """
    if max_chunks < 1:
        raise ConfigError(f"A batch has at least 1 chunk, not {max_chunks}.")
    buckets = [2]
    while buckets[-1] < max_chunks:
        buckets.append(buckets[-1] * 4)
    return tuple(buckets)


def short_chunks(bptt: int) -> tuple[int, ...]:
    """The steps to which the only chunk of a batch of short documents is rounded up, rising: a quarter of a chunk, half
    a chunk, a whole one."""
    return tuple(sorted({-(-bptt // 4), -(-bptt // 2), bptt}))


def _with_longest(buckets: Sequence[int], longest: int) -> tuple[int, ...]:
    if min(buckets, default=0) < 1 or list(buckets) != sorted(set(buckets)):
        raise ConfigError(f"buckets are {tuple(buckets)}: give chunk counts of at least 1, each larger than the last.")
    return tuple(buckets) if longest <= buckets[-1] else (*buckets, longest)


def read_lengths(corpus: Corpus) -> np.ndarray:
    """Tokens that a classifier reads of each document, [documents] int64: at least one."""
    return np.maximum(corpus.lengths, 1)


def read_document(corpus: Corpus, document: int, backwards: bool) -> np.ndarray:
    """A document's tokens as a classifier reads them: an empty one is the single token BOS_ID."""
    ids = corpus[document]
    if not len(ids):
        return np.array([BOS_ID])
    return ids[::-1] if backwards else ids


class DocumentBatches:
    """Batches of documents of like length, for training and for evaluation.

    Args:
        corpus: the documents; an empty one is read as the single token BOS_ID.
        labels: one class index per document, -1 for none; or indicators [documents, classes] where a document may have
            several labels; or probabilities [documents, classes] of any float type; None: no document has one.
        batch_size: rows of every batch.
        bptt: tokens of a chunk; default 72 as fastai's `seq_len`.
        backwards: each document from its last token to its first.
        seed: of the order of training, not negative.
        buckets: the chunk counts that batches are rounded up to, rising; the longest document's is added
            where it is longer. None: those of `chunk_buckets`, and for documents that are shorter than a chunk the
            steps of `short_chunks`. Few of them compile less and compute more empty chunks.

    Raises:
        DataError: no documents, or not one label for each.
        ConfigError: a size that is not positive, or a negative seed.
    """

    def __init__(
        self,
        corpus: Corpus,
        labels: Sequence[int] | np.ndarray | None,
        batch_size: int,
        bptt: int = 72,
        backwards: bool = False,
        seed: int = 0,
        buckets: Sequence[int] | None = None,
    ) -> None:
        if batch_size < 1 or bptt < 1 or seed < 0:
            raise ConfigError(
                f"batch_size and bptt must be at least 1 and seed at least 0, not {batch_size}, {bptt} and {seed}."
            )
        if len(corpus) == 0:
            raise DataError("There are no documents to make batches of; give at least one.")
        if labels is not None and len(labels) != len(corpus):
            found = f"{counted(len(corpus), 'document')} and {counted(len(labels), 'label')}"
            raise DataError(f"There are {found}; give one label for each.")
        self.corpus = corpus
        given = np.full(len(corpus), -1, np.int32) if labels is None else np.asarray(labels)
        self.labels = given.astype(np.float32 if given.dtype.kind == "f" else np.int32)
        self.batch_size = batch_size
        self.bptt = bptt
        self.backwards = backwards
        self.seed = seed
        self._lengths = read_lengths(corpus)
        longest = -(-int(self._lengths.max()) // bptt)
        self.buckets = chunk_buckets(longest) if buckets is None else _with_longest(buckets, longest)
        self._short_chunks = short_chunks(bptt) if buckets is None else ()

    @property
    def batches_per_epoch(self) -> int:
        """Batches of a training epoch, all of them full unless there is only one."""
        return max(len(self.corpus) // self.batch_size, 1)

    @property
    def evaluation_batches(self) -> int:
        """Batches of an evaluation, the filled-up last one included."""
        return -(-len(self.corpus) // self.batch_size)

    def training_epoch(self, epoch: int = 0, start_batch: int = 0) -> Iterator[DocumentBatch]:
        """Yields the full batches of one epoch in the order of fastai's `SortedDL`, a function of (seed, epoch).

        The documents are permuted, the longest is put first, those that fill no batch are left out, pieces of 50
        batches are sorted by length, and all batches but the first and the last are permuted. So the first batch holds
        the longest document: a program that fits the memory then fits it for the whole epoch. fastai sorts first and
        drops the partial batch then, which in up to 50 batches holds the shortest documents in every epoch; here it is
        others each time.

        Args:
            epoch: its number, not negative.
            start_batch: the first batch to yield; those before it are not read.

        Raises:
            ConfigError: a negative epoch, or a start outside the epoch.
        """
        if epoch < 0 or not 0 <= start_batch <= self.batches_per_epoch:
            raise ConfigError(
                f"Epoch {epoch} cannot start at batch {start_batch}; "
                f"epochs begin at 0 and have {self.batches_per_epoch} batches."
            )
        order = self._training_order(np.random.default_rng([self.seed, epoch]))
        return (self._assemble(rows) for rows in order[start_batch : self.batches_per_epoch])

    def evaluation(self) -> Iterator[DocumentBatch]:
        """Yields every document exactly once, longest first (fastai's validation order), the last batch filled up."""
        return (self._assemble(rows) for rows in self._batched(self._longest_first(np.arange(len(self.corpus)))))

    def longest_of_training(self, epoch: int = 0) -> list[int]:
        """The tokens of the longest document of each batch of an epoch, in its order."""
        order = self._training_order(np.random.default_rng([self.seed, epoch]))
        return [int(self._lengths[rows].max()) for rows in order[: self.batches_per_epoch]]

    def shape(self, longest: int) -> tuple[int, int]:
        """Chunks and steps of the batch, padding included, whose longest document has so many tokens."""
        if steps := [count for count in self._short_chunks if count >= longest]:
            return 1, steps[0]
        chunks = -(-longest // self.bptt)
        return next(bucket for bucket in self.buckets if bucket >= chunks), self.bptt

    def computed(self, longest: int) -> int:
        """Tokens of a row of that batch that are computed: its time grows with them. Chunks of padding cost nothing."""
        _, steps = self.shape(longest)
        return -(-longest // steps) * steps

    def _training_order(self, generator: np.random.Generator) -> list[np.ndarray]:
        order = generator.permutation(len(self.corpus))
        longest = int(np.flatnonzero(order == np.argmax(self._lengths))[0])
        order[[0, longest]] = order[[longest, 0]]
        if len(order) > self.batch_size:
            order = order[: self.batches_per_epoch * self.batch_size]
        piece = SORTED_BATCHES * self.batch_size
        pieces = [self._longest_first(order[i : i + piece]) for i in range(0, len(order), piece)]
        batches = self._batched(np.concatenate(pieces))
        middle = generator.permutation(max(len(batches) - 2, 0)) + 1
        return [batches[0], *(batches[i] for i in middle), *batches[1:][-1:]]

    def _longest_first(self, documents: np.ndarray) -> np.ndarray:
        return documents[np.argsort(-self._lengths[documents], kind="stable")]

    def _batched(self, documents: np.ndarray) -> list[np.ndarray]:
        return [documents[i : i + self.batch_size] for i in range(0, len(documents), self.batch_size)]

    def _assemble(self, rows: np.ndarray) -> DocumentBatch:
        """Lays the documents `rows`, sorted longest first, into one batch of `batch_size` rows."""
        lengths, documents = (np.full(self.batch_size, fill, np.int64) for fill in (0, -1))
        labels = np.full((self.batch_size, *self.labels.shape[1:]), -1, self.labels.dtype)
        lengths[: len(rows)], labels[: len(rows)], documents[: len(rows)] = self._lengths[rows], self.labels[rows], rows
        chunks, steps = self.shape(int(lengths.max()))
        padded = np.full((self.batch_size, chunks * steps), PAD_ID, np.int32)
        for row, document in enumerate(rows):
            ids = read_document(self.corpus, document, self.backwards)
            start = (chunks - -(-len(ids) // steps)) * steps
            padded[row, start : start + len(ids)] = ids
        tokens = np.ascontiguousarray(padded.reshape(self.batch_size, chunks, steps).transpose(1, 2, 0))
        return DocumentBatch(tokens, lengths.astype(np.int32), labels, documents)
