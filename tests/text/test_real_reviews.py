"""The tokenizers on real text: IMDb reviews, read through TFDS."""

from __future__ import annotations

from pathlib import Path

import pytest
import sentencepiece

from oracles.fastai_rules import fastai_rules
from oracles.plain_encoding import sentencepiece_ids, word_ids
from ulmfit_jax.text import SentencePieceTokenizer, WordTokenizer, apply_rules

REVIEWS = 300


@pytest.fixture(scope="module")
def reviews(data_dir: Path) -> list[str]:
    tfds = pytest.importorskip("tensorflow_datasets")
    folder = data_dir / "tensorflow_datasets"
    if not folder.is_dir():
        pytest.skip(f"no TFDS data at {folder}")
    source = tfds.data_source(
        "imdb_reviews/plain_text:1.0.0",
        split="train",
        data_dir=str(folder),
        builder_kwargs={"file_format": "array_record"},
    )
    return [source[i]["text"].decode() for i in range(REVIEWS)]


def test_rules_are_fastais(reviews):
    assert [apply_rules(review) for review in reviews] == [fastai_rules(review) for review in reviews]


def test_ids_are_those_of_the_plain_way(reviews):
    pieces = SentencePieceTokenizer.train(reviews, vocabulary_size=1000)
    words = WordTokenizer.train(reviews)
    for review in reviews[:100]:
        assert pieces.encode(review).tolist() == sentencepiece_ids(pieces.model_proto, review)
        assert words.encode(review).tolist() == word_ids(words.vocabulary.tokens, review)


def test_ids_are_sentencepieces_own_but_for_rounding(reviews):
    """SentencePiece on the whole text chooses otherwise only where float32 decides between equal segmentations."""
    tokenizer = SentencePieceTokenizer.train(reviews, vocabulary_size=1000)
    processor = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model_proto)
    equal = sum(processor.encode(apply_rules(review)) == tokenizer.encode(review).tolist() for review in reviews)
    assert equal >= 0.95 * len(reviews)


def test_pieces_cover_the_text(reviews):
    tokenizer = SentencePieceTokenizer.train(reviews, vocabulary_size=1000)
    ids = [i for review in reviews for i in tokenizer.encode(review)]
    assert ids.count(0) < 0.001 * len(ids)
