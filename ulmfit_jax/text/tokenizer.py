"""What a tokenizer has to offer, whichever kind it is, and how a saved one is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ulmfit_jax.errors import ArtifactError
from ulmfit_jax.text.sentencepiece import SentencePieceTokenizer
from ulmfit_jax.text.storage import DESCRIPTION_FILE, read_tokenizer
from ulmfit_jax.text.vocabulary import Vocabulary
from ulmfit_jax.text.words import WordTokenizer


@runtime_checkable
class Tokenizer(Protocol):
    """Raw text to ids and back. Immutable once made; can be pickled; equal fingerprints give equal ids."""

    @property
    def kind(self) -> str:
        """The name of the kind, as it stands in `tokenizer.json`."""

    @property
    def vocabulary(self) -> Vocabulary:
        """Every token and its id."""

    def encode(self, text: str) -> NDArray[np.int32]:
        """The ids of a raw text, int32 `[tokens]`; the rules are applied inside, the first id is `BOS_ID`."""

    def encode_batch(self, texts: Iterable[str], workers: int = 1) -> Iterator[NDArray[np.int32]]:
        """The ids of each text, in order and lazily: memory is bounded however many texts there are."""

    def pieces(self, ids: Sequence[int] | NDArray[np.integer]) -> list[str]:
        """The token of each id."""

    def decode(self, ids: Sequence[int] | NDArray[np.integer]) -> str:
        """The text to show for ids, marks undone (`undo_rules`)."""

    def fingerprint(self) -> str:
        """The sha256, in hex, of everything that decides the ids."""

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` and the tokenizer's own file into a folder, for `load_tokenizer`."""


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer saved in a folder; its ids and fingerprint are those it had when it was saved.

    Raises:
        ArtifactError: a file is missing, altered, or of a kind or format that this version does not know.
    """
    folder = Path(folder)
    kind, content = read_tokenizer(folder)
    if kind == SentencePieceTokenizer.kind:
        return SentencePieceTokenizer(content)
    if kind == WordTokenizer.kind:
        return WordTokenizer.from_bytes(content)
    raise ArtifactError(
        f"{folder / DESCRIPTION_FILE} is of kind {kind!r}, but this version of ulmfit_jax knows "
        f"{SentencePieceTokenizer.kind!r} and {WordTokenizer.kind!r}; load it with the version that saved it"
    )
