from __future__ import annotations

import time

import numpy as np
import pytest
from drawn_texts import any_text
from hypothesis import given

from ulmfit_jax.errors import ArtifactError, ConfigError, DataError
from ulmfit_jax.text import SPECIALS, Vocabulary, WordTokenizer, apply_rules
from ulmfit_jax.text.words import split_words

# What fastai 2.8.12 with spaCy makes of these texts; a line break is written as ⏎.
GOLDEN = {
    "I LOVED this movie!!!! It cost $1000 and/or more...<br /><br />Don't say no no no no.": (
        "xxbos i xxup loved this movie xxrep 4 ! xxmaj it cost $ 1 xxrep 3 0 and / or more … ⏎⏎ "
        "xxmaj do n't say xxwrep 4 no ."
    ),
    "A McDonald's ad; NASA's U.S. e-mail #1": ("xxbos a mcdonald 's ad ; nasa 's xxup u.s . e - mail # 1"),
}

# Our own cuts, on text to which the rules have been applied.
CUTS = {
    "can't won’t couldn't've n't": "ca n't wo n’t could n't 've n't",
    "they're we'll i'm he'd you've it's": "they 're we 'll i 'm he 'd you 've it 's",
    "o'connor's rock'n'roll 'tis 'quoted'": "o'connor 's rock'n'roll ' tis ' quoted '",
    "1,000 3.5 10:30 1980s 2nd 70's 5. 5,": "1,000 3.5 10:30 1980s 2nd 70 's 5 . 5 ,",
    "u.s. e.g. a.m., end.next x.": "u.s . e.g . a.m . , end . next x .",
    "well-known -- a..b (yes) [no] ``q''": "well - known -- a .. b ( yes ) [ no ] `` q ''",
    "a\n\nb\n c \td": "a ⏎⏎ b ⏎ c d",
    "straße ελλάς 漢字 snake_case": "straße ελλάς 漢字 snake_case",
    "$5 50% c + +": "$ 5 50 % c + +",
    "": "",
}


def written(words: list[str]) -> str:
    return " ".join(words).replace("\n", "⏎")


@pytest.mark.parametrize(("text", "expected"), GOLDEN.items())
def test_golden_lines_of_fastai(text, expected):
    assert written(split_words(apply_rules(text))) == expected


@pytest.mark.parametrize(("ruled", "expected"), CUTS.items())
def test_cuts(ruled, expected):
    assert written(split_words(ruled)) == expected


@given(any_text)
def test_words_lose_nothing_but_whitespace(text):
    ruled = apply_rules(text)
    assert "".join("".join(split_words(ruled)).split()) == "".join(ruled.split())


@pytest.mark.parametrize("word", ["a" * 10**6, "a.a" * 300_000, "1.1" * 300_000 + "x", "n't" * 300_000, "a'" * 500_000])
def test_time_is_linear(word):
    start = time.process_time()
    split_words(word)
    assert time.process_time() - start < 5


def test_train_keeps_frequent_words():
    tokenizer = WordTokenizer.train(["The cat sat.", "The dog sat.", "The cat ran!\nAgain"] * 2, min_freq=3)
    assert tokenizer.vocabulary.tokens == (*SPECIALS, "the", "cat", "sat", ".", *["xxfake"] * 3)
    ids = tokenizer.encode("THE cat sat, xxpad\n")
    assert tokenizer.pieces(ids) == ["xxbos", "xxup", "the", "cat", "sat", "xxunk", "xxunk"]
    assert ids.dtype == np.int32
    assert len(tokenizer) == 16


def test_train_refuses_bad_input():
    with pytest.raises(DataError, match="hold no words"):
        WordTokenizer.train(["", " \n"])
    with pytest.raises(ConfigError, match="max_size is 3"):
        WordTokenizer.train(["a"], max_size=3)


DECODED = [
    "I LOVED this movie!!! It cost $5 and/or more",
    "Don't say \"no\"? (It's O'Connor's.)\n\nThe end: 50%, #1.",
]


@pytest.mark.parametrize("text", DECODED)
def test_decoded_text_is_readable(text):
    tokenizer = WordTokenizer.train(DECODED, min_freq=1)
    ids = tokenizer.encode(text)
    for written, shown in {"I LOVED": "i LOVED", '"no"': '" no "', "(It's O'Connor's": "(it's o'connor's"}.items():
        text = text.replace(written, shown)
    assert tokenizer.decode(ids) == text


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"[]", b"{}", b'{"words_version": 1, "tokens": ["a"]}', b'{"words_version": 1, "tokens": 5}'],
)
def test_other_bytes_are_refused(content):
    with pytest.raises(ArtifactError, match=r"words\.json"):
        WordTokenizer.from_bytes(content)


def test_another_version_of_the_cuts_is_refused():
    saved = WordTokenizer(Vocabulary(SPECIALS)).to_bytes().replace(b'"words_version": 1', b'"words_version": 7')
    with pytest.raises(ArtifactError, match="by version 7, but this version"):
        WordTokenizer.from_bytes(saved)
