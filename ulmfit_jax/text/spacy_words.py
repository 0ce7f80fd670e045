"""Words as spaCy cuts them, which is how fastai's own word models read text; needs the extra `spacy`."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from ulmfit_jax.errors import ArtifactError, ConfigError, DataError
from ulmfit_jax.text.generations import FASTAI_2, GENERATIONS, Generation
from ulmfit_jax.text.rules import PAD, SPECIALS, UNK_ID
from ulmfit_jax.text.vocabulary import Vocabulary
from ulmfit_jax.text.vocabulary_tokenizer import VocabularyTokenizer

SPACY_WORDS_VERSION: Final = 1
"""Stands in the tokenizer's file; changes whenever the rules of any generation change what a text becomes."""

_LANGUAGE: Final = re.compile(r"[a-z]{2,3}")


class SpacyTokenizer(VocabularyTokenizer):
    """fastai's word tokenizer: the rules of a generation, and spaCy's cuts of a language, with a fixed vocabulary.

    With the rules of fastai 2 the tokens are those of its `TokenizeWithRules(SpacyTokenizer(language))`, which it
    applies to a corpus. A word that is not in the vocabulary gets id 0 (`xxunk`), and so does `xxpad` where a text
    writes it. Another version of spaCy may cut a rare word elsewhere.

    Args:
        vocabulary: every word and its id.
        language: spaCy's code of a language, `en` or `de`; only its rules for words are used, no trained pipeline.
        rules: `fastai-2`, `fastai-1` or `fastai-0.7`.

    Raises:
        ConfigError: spaCy is not installed or has no such language, or there are no such rules.
    """

    kind: ClassVar[str] = "spacy"
    file_name: ClassVar[str] = "spacy.json"

    def __init__(self, vocabulary: Vocabulary, language: str = "en", rules: str = FASTAI_2.name) -> None:
        super().__init__(vocabulary)
        if rules not in GENERATIONS:
            raise ConfigError(f"rules is {rules!r}: choose one of {', '.join(GENERATIONS)}")
        self.language, self.rules = language, rules
        self._generation = GENERATIONS[rules]
        self._cut = _spacy_cut(language, self._generation)

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        max_size: int = 60_000,
        min_freq: int = 3,
        *,
        language: str = "en",
        rules: str = FASTAI_2.name,
    ) -> SpacyTokenizer:
        """Count the words of raw texts and keep the most frequent; see `VocabularyTokenizer.adapted`."""
        return cls(Vocabulary(SPECIALS), language, rules).adapted(texts, max_size, min_freq)

    @classmethod
    def from_bytes(cls, content: bytes) -> SpacyTokenizer:
        """The tokenizer whose `to_bytes` gave these bytes.

        Raises:
            ArtifactError: the bytes are something else.
            ConfigError: spaCy is not installed.
        """
        try:
            saved = json.loads(content)
            version, language, rules = saved["spacy_words_version"], str(saved["language"]), str(saved["rules"])
            vocabulary = Vocabulary(tuple(saved["tokens"]))
        except (ValueError, RecursionError, ConfigError, KeyError, TypeError) as error:
            raise ArtifactError(
                f"{cls.file_name} is not what SpacyTokenizer.save writes ({error}); copy it again"
            ) from error
        if version != SPACY_WORDS_VERSION:
            raise ArtifactError(
                f"{cls.file_name} has version {version!r}, but this version of ulmfit_jax has {SPACY_WORDS_VERSION}; "
                "load it with the version that saved it"
            )
        return cls(vocabulary, language, rules)

    def to_bytes(self) -> bytes:
        """What `save` writes: JSON with one token a line, in the order of the ids."""
        saved = {
            "spacy_words_version": SPACY_WORDS_VERSION,
            "language": self.language,
            "rules": self.rules,
            "tokens": self.vocabulary.tokens,
        }
        return json.dumps(saved, ensure_ascii=False, indent=0).encode()

    def words(self, text: str) -> list[str]:
        """The words of a raw text, special tokens among them; the first is `xxbos`.

        Raises:
            DataError: the text is something else than a string.
        """
        if not isinstance(text, str):
            raise DataError(f"a text is {reprlib.repr(text)}, a {type(text).__name__}; give texts as str")
        return self._generation.after(self._cut(self._generation.before(text)))

    def encode(self, text: str) -> NDArray[np.int32]:
        """The ids of a raw text, int32 `[tokens]`, beginning with `BOS_ID`."""
        index = self.vocabulary.index
        return np.array([UNK_ID if word == PAD else index(word) for word in self.words(text)], np.int32)

    def with_vocabulary(self, vocabulary: Vocabulary) -> Self:
        """The same cuts with other words."""
        return type(self)(vocabulary, self.language, self.rules)

    def __reduce__(self) -> tuple[type[SpacyTokenizer], tuple[Vocabulary, str, str]]:
        return type(self), (self.vocabulary, self.language, self.rules)


@cache
def _spacy_cut(language: str, generation: Generation) -> Callable[[str], list[str]]:
    """A function from text to words: spaCy's tokenizer of a language, which leaves the generation's tokens uncut.

    It takes a tenth of a second to make, and several tokenizers can share it: it learns nothing.
    """
    try:
        import spacy
    except ImportError as error:
        raise ConfigError(
            "cutting words as fastai does needs spaCy: "
            "install it with pip install '.[spacy]' in the folder of ulmfit-jax"
        ) from error
    if not _LANGUAGE.fullmatch(language):
        raise _no_language(language, "a code has two or three small letters")
    try:
        tokenizer: Any = spacy.blank(language).tokenizer
    except ImportError as error:  # so spaCy reports an unknown language, or what else it needs for a known one
        raise _no_language(language, " ".join(str(error).split())[:150]) from error
    for token in generation.uncut:
        tokenizer.add_special_case(token, [{spacy.symbols.ORTH: token}])
    return lambda text: [word.text for word in tokenizer(text)]


def _no_language(language: str, reason: str) -> ConfigError:
    return ConfigError(
        f"spaCy cannot cut words of the language {language!r} ({reason}): give another code, such as en or de"
    )
