"""Documents as one flat array of token ids, in memory or memory-mapped from a folder, made once and kept."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ulmfit_jax.data.corpus_files import read_corpus, token_dtype, write_corpus
from ulmfit_jax.errors import ConfigError, DataError

if TYPE_CHECKING:
    from ulmfit_jax.text.tokenizer import Tokenizer

logger = logging.getLogger(__name__)


class Corpus:
    """Token ids of many documents in one array.

    Attributes:
        tokens: [n_tokens] uint16 or uint32, possibly memory-mapped.
        offsets: [documents + 1] int64, rising from 0 to n_tokens; document i is `tokens[offsets[i]:offsets[i + 1]]`.

    Raises:
        DataError: the offsets do not fit the tokens.
    """

    def __init__(self, tokens: np.ndarray, offsets: np.ndarray) -> None:
        offsets = np.asarray(offsets, dtype=np.int64)
        if tokens.ndim != 1 or offsets.ndim != 1 or len(offsets) == 0:
            raise DataError("A corpus needs one row of tokens and one of offsets; give arrays of one dimension.")
        if offsets[0] != 0 or offsets[-1] != len(tokens) or np.any(np.diff(offsets) < 0):
            raise DataError(
                f"The offsets of the corpus do not fit its {len(tokens)} tokens; build the corpus again from the texts."
            )
        self.tokens = np.asarray(tokens)  # a plain view: memmap slices are an order of magnitude slower
        self.offsets = offsets

    @classmethod
    def from_arrays(cls, documents: Sequence[np.ndarray]) -> Corpus:
        """Makes an in-memory corpus from one array of ids per document; uint16 where every id fits, else uint32."""
        largest = max((int(np.max(document)) for document in documents if len(document)), default=0)
        return cls._concatenate(documents, token_dtype(largest + 1))

    @classmethod
    def _concatenate(cls, documents: Sequence[np.ndarray], dtype: np.dtype) -> Corpus:
        offsets = np.zeros(len(documents) + 1, dtype=np.int64)
        np.cumsum([len(document) for document in documents], out=offsets[1:])
        tokens = np.empty(offsets[-1], dtype=dtype)
        for document, start, end in zip(documents, offsets, offsets[1:], strict=False):
            tokens[start:end] = document
        return cls(tokens, offsets)

    def __len__(self) -> int:
        """The number of documents."""
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        """The ids of one document, [length], a view without a copy; negative indices count from the end."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"document {index} of a corpus of {len(self)}")
        index %= len(self)
        return self.tokens[self.offsets[index] : self.offsets[index + 1]]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"Corpus({len(self)} documents, {self.n_tokens} tokens, {self.tokens.dtype})"

    @property
    def lengths(self) -> np.ndarray:
        """Tokens in each document, [documents] int64."""
        return np.diff(self.offsets)

    @property
    def n_tokens(self) -> int:
        """Tokens in all documents."""
        return len(self.tokens)

    def select(self, indices: Sequence[int] | np.ndarray) -> Corpus:
        """A corpus in memory with copies of some documents, in the order of `indices`."""
        return Corpus._concatenate([self[int(i)] for i in indices], self.tokens.dtype)

    def split(self, document: int) -> tuple[Corpus, Corpus]:
        """The documents before number `document` and those from it on, as views without a copy."""
        border = self.offsets[document]
        head = Corpus(self.tokens[:border], self.offsets[: document + 1])
        return head, Corpus(self.tokens[border:], self.offsets[document:] - border)


def open_corpus(folder: Path, verify: bool = False) -> Corpus:
    """Opens a corpus folder: the tokens are memory-mapped, the offsets read.

    Args:
        folder: as written by `build_corpus`.
        verify: also compare the SHA-256 of the files, which reads them whole; their sizes are always compared.

    Raises:
        DataError: no corpus there, or of another format version, or its files are damaged.
    """
    return Corpus(*read_corpus(Path(folder), verify))


def build_corpus(texts: Iterable[str], tokenizer: Tokenizer, folder: Path, workers: int = 1) -> Corpus:
    """Tokenises texts into a corpus folder and opens it memory-mapped.

    Only what the tokenizer works on is held in memory. The files are written to a temporary folder beside `folder`
    that is renamed when complete, so that `folder` is whole or absent, also after a crash.

    Args:
        texts: the documents, read once.
        tokenizer: turns a text into ids; the size of its vocabulary decides the dtype.
        folder: where the corpus goes; must be absent or empty.
        workers: processes that tokenise.

    Raises:
        DataError: `folder` holds something already, or the disk is full.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} exists already; delete it or give another folder for the corpus.")
    return _build(texts, tokenizer, folder, workers)


def corpus_in_memory(texts: Iterable[str], tokenizer: Tokenizer, workers: int = 1) -> Corpus:
    """Tokenises texts into a corpus that lives in memory; the same ids and dtype as `build_corpus`."""
    dtype = token_dtype(len(tokenizer.vocabulary))
    return Corpus._concatenate([np.asarray(ids).astype(dtype) for ids in tokenizer.encode_batch(texts, workers)], dtype)


def cached_corpus(
    texts: Iterable[str],
    tokenizer: Tokenizer,
    cache_dir: Path | None,
    workers: int = 1,
    fingerprint: str | None = None,
) -> Corpus:
    """Tokenises texts, or opens what an earlier call with the same texts and tokenizer has kept.

    The corpus lies in `cache_dir` under a name made from the SHA-256 of the texts and the tokenizer's fingerprint. What
    is found there is checked against its own SHA-256; if it is damaged it is built again and a warning is logged. Two
    processes may build the same corpus at once: the first to finish is kept and both use it.

    Args:
        texts: the documents; read twice (for the name, then for the ids), so not a one-time iterator.
        tokenizer: turns a text into ids.
        cache_dir: the folder of all cached corpora, made if absent; None: keep nothing, build in memory.
        workers: processes that tokenise.
        fingerprint: `texts_fingerprint(texts)` where it is known already; then `texts` is read only to build.

    Raises:
        ConfigError: `texts` is an iterator, which can be read only once.
        DataError: the disk is full.
    """
    if cache_dir is None:
        return corpus_in_memory(texts, tokenizer, workers)
    if isinstance(texts, Iterator):
        raise ConfigError("A cached corpus reads its texts twice; give a list or another re-readable collection.")
    fingerprint = fingerprint or texts_fingerprint(texts)
    key = hashlib.sha256(f"{fingerprint} {tokenizer.fingerprint()}".encode()).hexdigest()
    folder = Path(cache_dir) / key
    kept = _open_cached(folder)
    return _build(texts, tokenizer, folder, workers) if kept is None else kept


def texts_fingerprint(texts: Iterable[str]) -> str:
    """SHA-256 of the texts and their order, as hexadecimal digits; streams."""
    digest = hashlib.sha256()
    for text in texts:
        # A broken surrogate pair, as JSON may hold, is a text like any other; the length keeps "ab","c" from "a","bc".
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def _open_cached(folder: Path) -> Corpus | None:
    """The corpus of a folder; None if there is none, or a damaged one, which is then put out of the way."""
    if not folder.exists():
        return None
    try:
        return open_corpus(folder, verify=True)
    except DataError as error:
        logger.warning("The cached corpus cannot be used and is built again: %s", error)
    aside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.damaged")
    with contextlib.suppress(FileNotFoundError):  # another process has found the damage too
        folder.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)
    return None


def _build(texts: Iterable[str], tokenizer: Tokenizer, folder: Path, workers: int) -> Corpus:
    partial = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.partial")
    encoded = tokenizer.encode_batch(texts, workers)
    try:
        partial.mkdir(parents=True)
        write_corpus(encoded, token_dtype(len(tokenizer.vocabulary)), tokenizer.fingerprint(), partial)
        partial.rename(folder)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DataError(f"No free disk left while writing {folder}; free some space or give another.") from error
        # Another process finished the same corpus first: a folder that holds files is not replaced by a rename.
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return open_corpus(folder)
