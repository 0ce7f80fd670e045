"""Which tokens make a word."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulmfit_jax.text.grouping import word_groups
from ulmfit_jax.text.sentencepiece import SentencePieceTokenizer
from ulmfit_jax.text.tokenizer import Tokenizer
from ulmfit_jax.text.words import WordTokenizer

TEXTS = [
    "The kettle was lovely, wow!!! Really GREAT kettle.",
    "a very very very very long umbrella, and a broken bus…",
    "It was not the BEST of books; it was, perhaps, the worst of books.",
] * 20


@pytest.fixture(scope="module", params=["sentencepiece", "words"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    if request.param == "words":
        return WordTokenizer.train(TEXTS, 200)
    return SentencePieceTokenizer.train(TEXTS, 90)


def words(tokenizer: Tokenizer, text: str) -> list[str]:
    return [word for word, _ in word_groups(tokenizer, tokenizer.encode(text))]


def test_marks_and_pieces_belong_to_their_word(tokenizer: Tokenizer) -> None:
    assert words(tokenizer, "The GREAT umbrella was broken") == ["The", "GREAT", "umbrella", "was", "broken"]
    assert words(tokenizer, "wow !!! not")[-2:] == ["!!!", "not"]
    assert words(tokenizer, "a very very very very long bus") == ["a", "very very very very", "long", "bus"]
    assert words(tokenizer, "") == []


@given(text=st.text(st.characters(codec="utf-8"), max_size=60) | st.sampled_from(TEXTS))
def test_every_token_that_shows_something_is_in_one_word(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    positions = [position for _, group in word_groups(tokenizer, ids) for position in group]
    assert positions == list(range(1, len(ids)))  # all but xxbos


def test_a_mark_at_the_end_is_a_word(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("lovely GREAT")
    cut = ids[: int(np.flatnonzero([piece.endswith("xxup") for piece in tokenizer.pieces(ids)])[0]) + 1]
    assert [len(group) for _, group in word_groups(tokenizer, cut)][-1] == 1
