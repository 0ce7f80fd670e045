"""SentencePiece (unigram) behind the rules of fastai: subword ids, where only a rare character is unknown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import sentencepiece
from numpy.typing import NDArray

from ulmfit_jax.errors import ArtifactError
from ulmfit_jax.text.memo import MemoEncoder
from ulmfit_jax.text.parallel import encode_batch
from ulmfit_jax.text.rules import SPECIALS, UNK, UNK_ID, rm_useless_spaces, undo_rules
from ulmfit_jax.text.sentencepiece_training import MODEL_SPECIALS, WORD_START, train_model
from ulmfit_jax.text.storage import content_fingerprint, write_tokenizer
from ulmfit_jax.text.vocabulary import Vocabulary


class SentencePieceTokenizer:
    """A SentencePiece unigram model over the text that `apply_rules` gives (fastai `SentencePieceTokenizer`).

    Each whitespace-delimited word is encoded by itself, so that a word has the same ids wherever it stands. (Given a
    whole text, SentencePiece adds up scores in float32 from the text's start, and in about one IMDb review in 400 the
    rounding decides between two equally good segmentations, as of `!!!!!!`.) Newlines are whitespace, as in fastai's
    SentencePiece, whose normalisation (`nmt_nfkc`) is used too. Time is linear in the length of a text, even if it is
    a single word of a million characters.

    Ids 0 to 8 are the special tokens; in the model file they are the pieces `xxunk`, `xxpad`, `▁xxbos`, …, `▁xxmaj`.
    A text cannot write `xxpad`: its letters are encoded.

    Args:
        model_proto: the bytes of a SentencePiece model file, as made by `train`.

    Raises:
        ArtifactError: the bytes are no SentencePiece model, or one whose first pieces are not the special tokens.
    """

    kind: ClassVar[str] = "sentencepiece"
    file_name: ClassVar[str] = "sentencepiece.model"
    closed_vocabulary: ClassVar[bool] = False

    def __init__(self, model_proto: bytes) -> None:
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(model_proto)
        except RuntimeError as error:
            raise ArtifactError(
                f"the {len(model_proto)} bytes given are not a SentencePiece model; use the file {self.file_name} that "
                f"SentencePieceTokenizer.save wrote"
            ) from error
        self.model_proto = model_proto
        pieces = [self._processor.IdToPiece(i) for i in range(self._processor.GetPieceSize())]
        if tuple(pieces[: len(SPECIALS)]) != MODEL_SPECIALS:
            raise ArtifactError(
                f"this SentencePiece model begins with the pieces {' '.join(pieces[: len(SPECIALS)])} instead of "
                f"{' '.join(MODEL_SPECIALS)}; train one with SentencePieceTokenizer.train"
            )
        self.vocabulary = Vocabulary((*SPECIALS, *pieces[len(SPECIALS) :]))
        self._encoder = MemoEncoder(self._encode_words)

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocabulary_size: int = 8192,
        character_coverage: float = 0.9998,
        max_characters: int = 20_000_000,
    ) -> SentencePieceTokenizer:
        """Learn the pieces from raw texts; arguments and errors are those of `train_model`."""
        return cls(train_model(texts, vocabulary_size, character_coverage, max_characters))

    def adapted(self, texts: Iterable[str], max_size: int = 60_000) -> SentencePieceTokenizer:
        """This tokenizer: its pieces make up the words of any text."""
        return self

    def encode(self, text: str) -> NDArray[np.int32]:
        """The ids of a raw text, int32 `[tokens]`, beginning with `BOS_ID`."""
        return self._encoder.encode(text)

    def encode_batch(self, texts: Iterable[str], workers: int = 1) -> Iterator[NDArray[np.int32]]:
        """The ids of each text, lazily and in order; see `ulmfit_jax.text.parallel.encode_batch`."""
        return encode_batch(self.encode, texts, workers)

    def pieces(self, ids: Sequence[int] | NDArray[np.integer]) -> list[str]:
        """The piece of each id: `xxbos`, `▁a`, `▁word`, `s`."""
        return [self.vocabulary.token(int(i)) for i in ids]

    def decode(self, ids: Sequence[int] | NDArray[np.integer]) -> str:
        """The text to show for ids, marks undone (`undo_rules`)."""
        joined = "".join(f" {piece} " if piece in SPECIALS else piece for piece in self.pieces(ids))
        return undo_rules(rm_useless_spaces(joined.replace(WORD_START, " ")))

    def fingerprint(self) -> str:
        """The sha256, in hex, of everything that decides the ids."""
        return content_fingerprint(self.kind, self.model_proto)

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` and `sentencepiece.model` into a folder, for `load_tokenizer`."""
        write_tokenizer(Path(folder), self.kind, self.file_name, self.model_proto)

    def __len__(self) -> int:
        return len(self.vocabulary)

    def __repr__(self) -> str:
        return f"SentencePieceTokenizer({len(self)} pieces, {self.fingerprint()[:12]})"

    def __reduce__(self) -> tuple[type[SentencePieceTokenizer], tuple[bytes]]:
        return type(self), (self.model_proto,)

    def _encode_words(self, words: list[str]) -> list[list[int]]:
        # One call a word: a call for a list starts a thread, which costs as much as twenty words.
        encode = self._processor.Encode
        return [[UNK_ID] if word == UNK else encode(word) for word in words]
