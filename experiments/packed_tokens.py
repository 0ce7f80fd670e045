"""Texts as packed arrays of token ids, for machines that have neither the texts nor what makes tokens of them.

A text is `NAME.u16.xz`: the ids of its documents one after the other, 16 bits each; documents begin with `xxbos`.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np

from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.errors import DataError
from ulmfit_jax.text.rules import BOS_ID

PARTS = 7
"""Parts of Wikipedia that are trained on; the eighth measures."""
BPTT = 72


def pack(data_dir: Path, tokenizer_folder: Path, out: Path) -> None:
    """Write the tokens of Wikipedia and IMDb, the reviews' classes, and which of them are test reviews too.

    What is there already is left as it is.
    """
    # Not above: where packed tokens are read, these need not be installed.
    from ulmfit_jax.data import corpus_in_memory, iter_texts, read_dataset
    from ulmfit_jax.text import load_tokenizer

    tokenizer = load_tokenizer(tokenizer_folder)
    out.mkdir(parents=True, exist_ok=True)

    def write(name: str, texts: Iterable[str]) -> None:
        place = out / f"{name}.u16.xz"
        if not place.exists():
            tokens = np.asarray(corpus_in_memory(texts, tokenizer, workers=2).tokens, np.uint16)
            place.with_suffix(".part").write_bytes(lzma.compress(tokens.tobytes(), preset=6))
            place.with_suffix(".part").rename(place)

    def part(number: int) -> Iterable[str]:
        return iter_texts(str(data_dir / "wikipedia-en" / f"part-{number}-of-8.txt.xz"))

    for number in range(PARTS):
        write(f"wikipedia-{number}", part(number))
    write("wikipedia-valid", islice(part(PARTS), 60))
    splits = {
        split: read_dataset(f"tfds:imdb_reviews:{split}", data_dir=data_dir, require_labels=labelled)
        for split, labelled in (("train", True), ("test", True), ("unsupervised", False))
    }
    tested = set(splits["test"].texts)
    for split, data in splits.items():
        write(f"imdb-{split}", data.texts)
        np.save(out / f"imdb-{split}-in-test.npy", np.array([text in tested for text in data.texts]))
        if data.labels is not None:
            classes = np.array([label == "pos" for label in data.labels], np.int8)
            np.save(out / f"imdb-{split}-labels.npy", classes)


def packed(folder: Path, *names: str, documents: int | None = None) -> Corpus:
    """The documents of packed texts, one after the other; the first ones, if a number of them is given.

    Raises:
        DataError: a text is not there.
    """

    def read(name: str) -> np.ndarray:
        place = folder / f"{name}.u16.xz"
        if not place.is_file():
            raise DataError(f"{place} is missing: pack the texts first")
        return np.frombuffer(lzma.decompress(place.read_bytes()), np.uint16)

    with ThreadPoolExecutor() as pool:
        tokens = np.concatenate(list(pool.map(read, names)))
    corpus = Corpus(tokens, np.append(np.flatnonzero(tokens == BOS_ID), len(tokens)))
    return corpus if documents is None else corpus.split(min(documents, len(corpus)))[0]


def labels(folder: Path, split: str, documents: int | None = None) -> np.ndarray:
    """The classes of a split's reviews, `[documents]` int32."""
    return np.load(folder / f"imdb-{split}-labels.npy").astype(np.int32)[:documents]


def reviews_not_tested(folder: Path, split: str, documents: int | None = None) -> Corpus:
    """A split's reviews without those that are test reviews as well."""
    seen = np.load(folder / f"imdb-{split}-in-test.npy")[:documents]
    return packed(folder, f"imdb-{split}", documents=documents).select(np.flatnonzero(~seen))


def whole_batches(corpus: Corpus, rows: int) -> Corpus:
    """The corpus without the tokens of its last, shorter batch, which would have a program of its own."""
    count = (corpus.n_tokens - 1) // (rows * BPTT) * rows * BPTT + 1
    return Corpus(corpus.tokens[:count], np.append(corpus.offsets[corpus.offsets < count], count))
