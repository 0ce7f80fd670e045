"""What tokenizers of whole words have in common: a vocabulary that each corpus gets for itself, and text to show."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from ulmfit_jax.errors import DataError
from ulmfit_jax.text.parallel import encode_batch
from ulmfit_jax.text.rules import undo_rules
from ulmfit_jax.text.storage import content_fingerprint, write_tokenizer
from ulmfit_jax.text.vocabulary import Vocabulary

_BEFORE_SUFFIX: Final = re.compile(r" (?=(?:n['’]t|['’](?:s|m|d|re|ve|ll)|[.,!?;:%)\]}…]+)(?!\S))")
_AFTER_PREFIX: Final = re.compile(r"(?<=[(\[{$#]) ")
_AROUND: Final = re.compile(r" *(\n+|/) *")


class VocabularyTokenizer(ABC):
    """A way to cut texts into words, and the words that have ids; every other word has id 0 (`xxunk`).

    Args:
        vocabulary: every word and its id.
    """

    kind: ClassVar[str]
    file_name: ClassVar[str]
    closed_vocabulary: ClassVar[bool] = True

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    @abstractmethod
    def words(self, text: str) -> list[str]:
        """The words of a raw text, special tokens among them; the first is `xxbos`."""

    @abstractmethod
    def encode(self, text: str) -> NDArray[np.int32]:
        """The ids of a raw text, int32 `[tokens]`, beginning with `BOS_ID`."""

    @abstractmethod
    def with_vocabulary(self, vocabulary: Vocabulary) -> Self:
        """The same cuts with other words."""

    @abstractmethod
    def to_bytes(self) -> bytes:
        """What `save` writes into the tokenizer's own file."""

    def adapted(self, texts: Iterable[str], max_size: int = 60_000, min_freq: int = 3) -> Self:
        """The same cuts with the most frequent words of raw texts; arguments are those of `Vocabulary.build`.

        Memory grows with the number of different words, not with the number of texts.

        Raises:
            ConfigError: `max_size` or `min_freq` is out of range.
            DataError: there is no word in the texts.
        """
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(self.words(text)[1:])
        if not counts:
            raise DataError("the texts to train the tokenizer on hold no words; give texts that are not empty")
        return self.with_vocabulary(Vocabulary.build(counts, max_size, min_freq))

    def encode_batch(self, texts: Iterable[str], workers: int = 1) -> Iterator[NDArray[np.int32]]:
        """The ids of each text, lazily and in order; see `ulmfit_jax.text.parallel.encode_batch`."""
        return encode_batch(self.encode, texts, workers)

    def pieces(self, ids: Sequence[int] | NDArray[np.integer]) -> list[str]:
        """The word of each id."""
        return [self.vocabulary.token(int(i)) for i in ids]

    def decode(self, ids: Sequence[int] | NDArray[np.integer]) -> str:
        """The text to show for ids: marks undone (`undo_rules`), and no space before a full stop or after a `$`."""
        text = undo_rules(" ".join(self.pieces(ids)))
        return _AROUND.sub(r"\1", _AFTER_PREFIX.sub("", _BEFORE_SUFFIX.sub("", text)))

    def fingerprint(self) -> str:
        """The sha256, in hex, of everything that decides the ids."""
        return content_fingerprint(self.kind, self.to_bytes())

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` and the tokenizer's own file into a folder, for `load_tokenizer`."""
        write_tokenizer(Path(folder), self.kind, self.file_name, self.to_bytes())

    def __len__(self) -> int:
        return len(self.vocabulary)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} words, {self.fingerprint()[:12]})"
