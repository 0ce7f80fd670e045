"""A tokenizer as small as can be: a word is a token, an id is its place among the words it was made with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ulmfit_jax.text.rules import SPECIALS
from ulmfit_jax.text.vocabulary import Vocabulary


class FakeTokenizer:
    kind = "fake"

    def __init__(self, words: Sequence[str] = (), size: int = 0) -> None:
        filler = [f"filler{i}" for i in range(size - len(SPECIALS) - len(words))]
        self.vocabulary = Vocabulary((*SPECIALS, *words, *filler))
        self.calls = 0

    def encode(self, text: str) -> np.ndarray:
        return np.array([self.vocabulary.index(word) for word in ["xxbos", *text.split()]], dtype=np.int32)

    def encode_batch(self, texts: Iterable[str], workers: int = 1) -> Iterator[np.ndarray]:
        self.calls += 1
        return map(self.encode, texts)

    def pieces(self, ids: Sequence[int] | np.ndarray) -> list[str]:
        return [self.vocabulary.token(int(i)) for i in ids]

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        return " ".join(self.pieces(ids))

    def fingerprint(self) -> str:
        return str(hash(self.vocabulary.tokens))

    def save(self, folder: Path) -> None:
        raise NotImplementedError
