"""Learning a SentencePiece model from texts: deterministic, in bounded memory, without a temporary file."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from typing import Final

import sentencepiece

from ulmfit_jax.errors import ConfigError, DataError
from ulmfit_jax.text.rules import BOS_ID, PAD, PAD_ID, SPECIALS, UNK, UNK_ID, apply_rules

WORD_START: Final = "▁"
"""U+2581, which SentencePiece puts in front of a word."""
MODEL_SPECIALS: Final = (UNK, PAD, *(WORD_START + special for special in SPECIALS[BOS_ID:]))
"""The special tokens as pieces of the model: a special token is a word, so all that text can hold begin with U+2581."""

_SLICE: Final = 100
"""Characters; a longer word (a sentence, in a language without spaces) is learned from in slices of this length."""
_THREADS: Final = 8
"""Fixed, not the machine's count: the threads' sums are added up, and the rounding depends on how many they are."""
_SPECIAL_INSIDE: Final = re.compile("|".join(SPECIALS))
_TOO_SMALL: Final = re.compile(r"smaller than required_chars\. \d+ vs (\d+)")


def train_model(
    texts: Iterable[str],
    vocabulary_size: int = 8192,
    character_coverage: float = 0.9998,
    max_characters: int = 20_000_000,
) -> bytes:
    """The bytes of a unigram model file learned from raw texts, to which the rules are applied first.

    The unigram trainer uses nothing of its input but the different words and how often each occurs; so the words are
    counted here, and documents of any length take part in full. Nothing is drawn at random: the same texts, in any
    order, give the same bytes (unless `max_characters` was reached).

    Args:
        texts: raw texts, read once.
        vocabulary_size: pieces including the 9 special tokens; a corpus too small for so many gives fewer.
        character_coverage: share of all running characters whose kinds get a piece of their own; the others become
            `xxunk`. fastai: 0.9998, and 0.99999 for 24 European languages. On encyclopaedia text 0.9998 keeps some 180
            kinds; a narrower corpus may need more for its rare signs (on IMDb, 0.9998 leaves out `$` and `%`).
        max_characters: limit on the characters of all different words together. When twice as many have been met, the
            rarest words are forgotten until the limit is kept; 20 million are over 2 million words of English.

    Raises:
        ConfigError: an argument is out of range, or `vocabulary_size` cannot hold every character.
        DataError: there is nothing to learn from in the texts.
    """
    check_vocabulary_size(vocabulary_size)
    check_coverage(character_coverage)
    if max_characters < 1:
        raise ConfigError(f"max_characters is {max_characters}; it has to be 1 or more")
    counts = _count_words(texts, max_characters)
    if not counts:
        raise DataError("the texts to train the tokenizer on hold no words; give texts that are not empty")
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(f"{word}\t{count}" for word, count in _by_frequency(counts)),
            input_format="tsv",
            model_writer=model,
            model_type="unigram",
            vocab_size=vocabulary_size,
            hard_vocab_limit=False,
            character_coverage=character_coverage,
            user_defined_symbols=list(MODEL_SPECIALS[BOS_ID:]),
            unk_id=UNK_ID,
            unk_piece=UNK,
            pad_id=PAD_ID,
            pad_piece=PAD,
            bos_id=-1,
            eos_id=-1,
            num_threads=_THREADS,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise _explained(error, vocabulary_size) from error
    return model.getvalue()


def check_vocabulary_size(vocabulary_size: int) -> None:
    """Refuse a vocabulary that has no room beside the special tokens.

    Raises:
        ConfigError: see above.
    """
    if vocabulary_size <= len(SPECIALS):
        raise ConfigError(
            f"vocabulary_size is {vocabulary_size}; it has to be over {len(SPECIALS)}, the number of special tokens"
        )


def check_coverage(character_coverage: float) -> None:
    """Refuse a `character_coverage` with which nothing can be learnt.

    Raises:
        ConfigError: see above.
    """
    if not 0.9 <= character_coverage <= 1.0:
        raise ConfigError(f"character_coverage is {character_coverage}; it has to be from 0.9 to 1.0")


def _count_words(texts: Iterable[str], max_characters: int) -> dict[str, int]:
    counts: dict[str, int] = {}
    characters = 0
    for text in texts:
        for word in _training_words(text):
            if word in counts:
                counts[word] += 1
            else:
                counts[word] = 1
                characters += len(word)
        if characters > 2 * max_characters:
            counts = dict(_most_frequent(counts, max_characters))
            characters = sum(map(len, counts))
    return dict(_most_frequent(counts, max_characters))


def _training_words(text: str) -> Iterator[str]:
    for word in apply_rules(text).split():
        # The special tokens have their ids already, and no other piece may be spelled like one of them.
        if "xx" in word and _SPECIAL_INSIDE.search(word):
            continue
        if len(word) <= _SLICE:
            yield word
        else:
            yield from (word[start : start + _SLICE] for start in range(0, len(word), _SLICE))


def _by_frequency(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _most_frequent(counts: dict[str, int], max_characters: int) -> Iterator[tuple[str, int]]:
    characters = 0
    for word, count in _by_frequency(counts):
        characters += len(word)
        if characters > max_characters:
            return
        yield word, count


def _explained(error: RuntimeError, vocabulary_size: int) -> ConfigError | DataError:
    too_small = _TOO_SMALL.search(str(error))
    if too_small:
        return ConfigError(
            f"vocabulary_size is {vocabulary_size}, but the special tokens and the characters of these texts need "
            f"{too_small[1]} pieces; raise vocabulary_size or lower character_coverage"
        )
    return DataError(
        f"SentencePiece cannot learn from these texts ({str(error).strip()}); give texts with words in them"
    )
