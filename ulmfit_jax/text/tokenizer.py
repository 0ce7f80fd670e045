"""What a tokenizer has to offer, whichever kind it is, and how a saved one is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ulmfit_jax.errors import ArtifactError, ConfigError
from ulmfit_jax.text.sentencepiece import SentencePieceTokenizer
from ulmfit_jax.text.sentencepiece_training import check_coverage
from ulmfit_jax.text.spacy_words import SpacyTokenizer
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
    def closed_vocabulary(self) -> bool:
        """Whether an unseen word has no id, so that each corpus wants a vocabulary of its own."""

    @property
    def vocabulary(self) -> Vocabulary:
        """Every token and its id."""

    def adapted(self, texts: Iterable[str], max_size: int = 60_000) -> Tokenizer:
        """The tokenizer for other texts: with their words, or, if its vocabulary is not closed, itself."""

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


_KINDS: Final[dict[str, Callable[[bytes], Tokenizer]]] = {
    SentencePieceTokenizer.kind: SentencePieceTokenizer,
    WordTokenizer.kind: WordTokenizer.from_bytes,
    SpacyTokenizer.kind: SpacyTokenizer.from_bytes,
}
"""How each kind comes out of the bytes of its own file."""


def tokenizer_trainer(name: str, character_coverage: float | None = None) -> Callable[[Iterable[str], int], Tokenizer]:
    """How a tokenizer of this name comes out of texts and the largest size of its vocabulary.

    Args:
        name: `sentencepiece`, `words`, `spacy` (for English) or `spacy:LANGUAGE`, such as `spacy:de`.
        character_coverage: of `sentencepiece`, see `train_model` there; None for its default.

    Raises:
        ConfigError: there is no such tokenizer, or it has no such coverage.
    """
    if character_coverage is not None:
        if name != SentencePieceTokenizer.kind:
            raise ConfigError(
                f"character_coverage is for the tokenizer sentencepiece, and {name} has none: leave it out"
            )
        check_coverage(character_coverage)
        return partial(SentencePieceTokenizer.train, character_coverage=character_coverage)
    kind, _, language = name.partition(":")
    if kind == SpacyTokenizer.kind:
        return partial(SpacyTokenizer.train, language=language or "en")
    if name == WordTokenizer.kind:
        return WordTokenizer.train
    if name == SentencePieceTokenizer.kind:
        return SentencePieceTokenizer.train
    raise ConfigError(f"tokenizer is {name!r}: choose 'sentencepiece', 'words', 'spacy' or 'spacy:LANGUAGE'")


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer saved in a folder; its ids and fingerprint are those it had when it was saved.

    Raises:
        ArtifactError: a file is missing, altered, or of a kind or format that this version does not know.
        ConfigError: it cuts words with spaCy, which is not installed.
    """
    folder = Path(folder)
    kind, content = read_tokenizer(folder)
    if kind in _KINDS:
        return _KINDS[kind](content)
    raise ArtifactError(
        f"{folder / DESCRIPTION_FILE} is of kind {kind!r}, but this version of ulmfit_jax knows "
        f"{', '.join(map(repr, _KINDS))}; load it with the version that saved it"
    )
