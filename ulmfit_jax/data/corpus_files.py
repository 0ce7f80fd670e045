"""The files of a corpus folder: token ids and offsets as they lie on disk.

tokens.bin    all ids one after the other, uint16 where the vocabulary fits, else uint32 (little-endian)
offsets.bin   int64 (little-endian), one more than there are documents; the tokens of document i are
              tokens[offsets[i]:offsets[i + 1]]
corpus.json   format version, dtype, the two counts, the SHA-256 of both files, the tokenizer's fingerprint
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ulmfit_jax.errors import DataError

FORMAT_VERSION = 1
TOKENS_FILE = "tokens.bin"
OFFSETS_FILE = "offsets.bin"
DESCRIPTION_FILE = "corpus.json"


def token_dtype(vocabulary_size: int) -> np.dtype:
    """The smallest of uint16 and uint32 that holds the ids of a vocabulary."""
    return np.dtype("<u2" if vocabulary_size <= 1 << 16 else "<u4")


def write_corpus(encoded: Iterable[np.ndarray], dtype: np.dtype, tokenizer_fingerprint: str, folder: Path) -> None:
    """Writes the files of a corpus into an existing folder, document by document.

    Args:
        encoded: the ids of each document, read once.
        dtype: of the ids on disk, from `token_dtype`.
        tokenizer_fingerprint: what made the ids, for the record.
        folder: where the files go; files of the same names are overwritten.
    """
    documents = total = 0
    with _HashedFile(folder / TOKENS_FILE) as tokens, _HashedFile(folder / OFFSETS_FILE) as offsets:
        offsets.write(np.int64(0).astype("<i8").tobytes())
        for ids in encoded:
            documents, total = documents + 1, total + len(ids)
            tokens.write(np.asarray(ids).astype(dtype).tobytes())
            offsets.write(np.int64(total).astype("<i8").tobytes())
        sha256 = {TOKENS_FILE: tokens.hexdigest(), OFFSETS_FILE: offsets.hexdigest()}
    description = {
        "format_version": FORMAT_VERSION,
        "dtype": dtype.name,
        "documents": documents,
        "tokens": total,
        "sha256": sha256,
        "tokenizer": tokenizer_fingerprint,
    }
    (folder / DESCRIPTION_FILE).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


def read_corpus(folder: Path, verify: bool) -> tuple[np.ndarray, np.ndarray]:
    """Reads a corpus folder.

    Args:
        folder: as written by `write_corpus`.
        verify: compare the SHA-256 of the files, which reads them whole; their sizes are always compared.

    Returns:
        (tokens, offsets): [n_tokens] uint16 or uint32, memory-mapped read-only, and [documents + 1] int64.

    Raises:
        DataError: no corpus there, or of another format version, or its files are damaged.
    """
    description = _read_description(folder)
    dtype = np.dtype(description["dtype"]).newbyteorder("<")
    sizes = {TOKENS_FILE: description["tokens"] * dtype.itemsize, OFFSETS_FILE: (description["documents"] + 1) * 8}
    for name, size in sizes.items():
        path = folder / name
        found = path.stat().st_size if path.is_file() else None
        if found != size:
            what = "is missing" if found is None else f"has {found} bytes instead of {size}"
            raise DataError(f"{path} {what}; delete the folder and build the corpus again.")
        if verify and _sha256(path) != description["sha256"][name]:
            raise DataError(f"{path} was altered since it was written; delete the folder and build the corpus again.")
    offsets = np.fromfile(folder / OFFSETS_FILE, dtype="<i8")
    if description["tokens"] == 0:  # an empty file cannot be mapped
        return np.empty(0, dtype=dtype), offsets
    return np.memmap(folder / TOKENS_FILE, dtype=dtype, mode="r"), offsets


class _HashedFile(contextlib.AbstractContextManager["_HashedFile"]):
    """A file written from start to end whose SHA-256 is known at the end."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("wb")
        self._digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self._digest.update(data)
        self._file.write(data)

    def hexdigest(self) -> str:
        return self._digest.hexdigest()

    def __exit__(self, *exception: object) -> None:
        self._file.close()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_description(folder: Path) -> dict[str, Any]:
    path = folder / DESCRIPTION_FILE
    if not path.is_file():
        raise DataError(f"{folder} holds no corpus ({DESCRIPTION_FILE} is missing); build it first with build_corpus.")
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        version = description["format_version"]
        whole = (
            description["dtype"] in ("uint16", "uint32")
            and all(isinstance(description[count], int) for count in ("documents", "tokens"))
            and {TOKENS_FILE, OFFSETS_FILE} <= description["sha256"].keys()
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        version, whole = FORMAT_VERSION, False
    if version != FORMAT_VERSION:
        raise DataError(
            f"{path} has format version {version} and this program reads {FORMAT_VERSION}; build the corpus again."
        )
    if not whole:
        raise DataError(f"{path} is damaged; delete the folder and build the corpus again.")
    return description
