"""fastai's vocabulary files (`itos.pkl`): which generation they are of, and their words in this package's order."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ulmfit_jax.errors import ArtifactError
from ulmfit_jax.interop.refusal import refuse
from ulmfit_jax.interop.restricted_pickle import Ignored, RestrictedUnpickler
from ulmfit_jax.text.generations import FASTAI_07, FASTAI_1, FASTAI_2, GENERATIONS, Generation
from ulmfit_jax.text.rules import PAD, SPECIALS, UNK
from ulmfit_jax.text.rules_fastai07 import NAMES_FASTAI07
from ulmfit_jax.text.vocabulary import FILLER, Vocabulary, VocabularyMatch

_LIST: Final = (
    "a pickled list of words, such as itos.pkl or what pickle.dump(list(learn.dls.vocab), file) writes (with "
    "learn.dls.vocab[0] where learn is a classifier)"
)


@dataclass(frozen=True)
class FastaiVocabulary:
    """The words of a model of fastai.

    Attributes:
        generation: whose text rules belong to them.
        vocabulary: the words: our special tokens first, in our order, then the others in the file's order.
        rows: where each word stands in the file; -1 for a special token that the file does not have.
        entries: words in the file.
    """

    generation: Generation
    vocabulary: Vocabulary
    rows: NDArray[np.int32]
    entries: int

    def match(self) -> VocabularyMatch:
        """Moves the rows of the file's arrays to their places; a missing special token gets the mean row."""
        kept = int((self.rows >= 0).sum())
        return VocabularyMatch(self.rows, self.entries, kept, len(self.rows) - kept, self.entries - kept)


def read_vocabulary(path: Path, rules: str | None = None) -> FastaiVocabulary:
    """The words of a vocabulary file, and the text rules that belong to them.

    The special tokens are put in front in the order that this package has everywhere, so that `xxpad` is 1 and `xxbos`
    is 2 whatever the generation; those of fastai 0.7 get this package's names (`xbos` becomes `xxbos`). Where a word
    occurs twice, fastai uses the last one; the others become `xxfake`, which no text has, and keep their rows.

    Args:
        path: the file.
        rules: the name of a generation, if the file's own special tokens are not to decide about the text rules.

    Raises:
        ArtifactError: missing, damaged, no list of words, made to run code, or without fastai's special tokens.
    """
    words = _read_words(path)
    generation = _generation(words, path)
    if generation is FASTAI_07:
        words = _renamed(words)
    places = {word: row for row, word in enumerate(words)}
    words = [word if places[word] == row else FILLER for row, word in enumerate(words)]
    others = [row for row, word in enumerate(words) if word not in SPECIALS]
    rows = [*(places.get(special, -1) for special in SPECIALS), *others]
    vocabulary = Vocabulary((*SPECIALS, *(words[row] for row in others)))
    chosen = GENERATIONS[rules] if rules else generation
    return FastaiVocabulary(chosen, vocabulary, np.array(rows, np.int32), len(words))


def _generation(words: list[str], path: Path) -> Generation:
    """fastai 2 begins with its nine special tokens, fastai 1 with `xxunk`, `xxpad`, and 0.7 with
    `_unk_`, `_pad_` (the paper's scripts) or with `_bos_`, `_pad_`, `_eos_`, `_unk_` (its `numericalize_tok`).

    A list that begins otherwise has been put into another order, in which each row of the weights would get a wrong
    word; a new order of the other words cannot be seen.
    """
    if tuple(words[: len(SPECIALS)]) == SPECIALS:
        return FASTAI_2
    if words[:2] == [UNK, PAD]:
        return FASTAI_1
    if words[:2] == ["_unk_", "_pad_"] or words[:4] == ["_bos_", "_pad_", "_eos_", "_unk_"]:
        return FASTAI_07
    raise ArtifactError(
        f"{path} begins neither with {UNK}, {PAD} nor as those of fastai 0.7, so it is not a vocabulary of fastai, or "
        "in another order: give the itos.pkl that belongs to the weights"
    )


def _renamed(words: list[str]) -> list[str]:
    """The words with fastai 0.7's special tokens under our names; of two that have one name here, the one in texts."""
    present = set(words)
    chosen = {ours: theirs for theirs, ours in NAMES_FASTAI07.items() if theirs in present}
    names = {theirs: ours for ours, theirs in chosen.items()}
    return [names.get(word, word) for word in words]


def _read_words(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            content = RestrictedUnpickler(file, _admitted()).load()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error.strerror or error}): give {_LIST}") from error
    except Exception as error:  # a damaged or made-up pickle can raise nearly anything
        refuse(error, path, _LIST)
    words = _as_list(content)
    if words is None:
        raise ArtifactError(f"{path} holds {_described(content)}: give {_LIST}")
    for row, word in enumerate(words):
        if not isinstance(word, str) or not _is_text(word):
            raise ArtifactError(f"{path} has {reprlib.repr(word)} as its word {row}, which is no text: give {_LIST}")
    return words


def _as_list(content: Any) -> list[Any] | None:
    """The words of a list, or of a dictionary from words to the numbers 0 to n - 1; None for anything else."""
    content = content.items if isinstance(content, _List) else content
    if isinstance(content, (list, tuple)):
        return list(content)
    if isinstance(content, dict) and all(isinstance(row, int) for row in content.values()):
        words = sorted(content, key=content.__getitem__)
        return words if [content[word] for word in words] == list(range(len(words))) else None
    return None


def _described(content: Any) -> str:
    return f"a {type(content).__name__}{f' of {len(content)}' if hasattr(content, '__len__') else ''}"


def _is_text(word: str) -> bool:
    """Whether the word can be written to a file, which half a surrogate pair cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in word)


class _List(Ignored):
    """Stands in for fastcore's `L`, whose words are in its attribute `items`."""

    items: Any = None

    def __setstate__(self, state: Any) -> None:
        """Keep the words."""
        self.items = state.get("items") if isinstance(state, dict) else None


def _admitted() -> dict[tuple[str, str], Any]:
    """Made anew for each file, so that none can leave a trace in a stand-in."""
    ignored = type("Ignored", (Ignored,), {})
    plain = {
        ("collections", "OrderedDict"): lambda *_: {},
        ("collections", "defaultdict"): lambda *_: {},
        ("collections", "Counter"): lambda counts=(): dict(counts),
        ("fastcore.foundation", "L"): type("L", (_List,), {}),
    }
    return plain | {(module, name): ignored for module in ("builtins", "__builtin__") for name in ("int", "dict")}
