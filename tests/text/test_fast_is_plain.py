"""The memo never changes an id: any text, however odd, is encoded as by the plain rules and the plain tokenizer."""

from __future__ import annotations

import pytest
from drawn_texts import any_text
from hypothesis import given, settings

from oracles.plain_encoding import sentencepiece_ids, word_ids
from ulmfit_jax.text import SentencePieceTokenizer, WordTokenizer

CORPUS = [
    "The film was good. The FILM was bad!!! No no no no, don't see it; it's 1,000 times too long...",
    "U.S. readers: e-mail and/or call #1\n\nΟΔΟΣ Straße 漢字 한국어 no NO No 333 aaa xxunk",
] * 3


@pytest.fixture(scope="module")
def pieces() -> SentencePieceTokenizer:
    return SentencePieceTokenizer.train(CORPUS, vocabulary_size=120)


@pytest.fixture(scope="module")
def words() -> WordTokenizer:
    return WordTokenizer.train(CORPUS, min_freq=1)


@settings(max_examples=500)
@given(text=any_text)
def test_sentencepiece_ids_are_those_of_the_plain_way(pieces, text):
    expected = sentencepiece_ids(pieces.model_proto, text)
    for _ in range(2):  # the second time from the memo
        assert pieces.encode(text).tolist() == expected
    assert pieces._encoder.encode_plainly(text).tolist() == expected


@settings(max_examples=500)
@given(text=any_text)
def test_word_ids_are_those_of_the_plain_way(words, text):
    expected = word_ids(words.vocabulary.tokens, text)
    for _ in range(2):
        assert words.encode(text).tolist() == expected
    assert words._encoder.encode_plainly(text).tolist() == expected
