"""`SpacyTokenizer` against fastai's own word tokenizer, on real texts of two languages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oracles.fastai.reference import fastai
from ulmfit_jax.text import SPECIALS, SpacyTokenizer, Vocabulary

ODD = ["a \n b  c", "  ", "", "xxbos xxmaj", "no\u00a0no no no", ":-) ;) a.b@c.de don't!!!! e.g. U.S.A.", "\t\u2028x"]
TEXTS = 300


def fastai_tokens(language: str, texts: list[str]) -> list[list[str]]:
    """As fastai tokenizes a corpus; its `Tokenizer` leaves out the last rule for a single text."""
    return [list(words) for words in fastai.TokenizeWithRules(fastai.WordTokenizer(language))(texts)]


def our_tokens(language: str, texts: list[str]) -> list[list[str]]:
    tokenizer = SpacyTokenizer(Vocabulary(SPECIALS), language)
    return [tokenizer.words(text) for text in texts]


@pytest.mark.parametrize("language", ["en", "de"])
def test_odd_texts(language: str) -> None:
    assert our_tokens(language, ODD) == fastai_tokens(language, ODD)


def test_english_reviews(data_dir: Path) -> None:
    tfds = pytest.importorskip("tensorflow_datasets")
    folder = data_dir / "tensorflow_datasets"
    if not (folder / "imdb_reviews").is_dir():
        pytest.skip(f"no IMDb reviews in {folder}")
    source = tfds.data_source(
        "imdb_reviews/plain_text:1.0.0",
        split="train",
        data_dir=str(folder),
        builder_kwargs={"file_format": "array_record"},
    )
    reviews = [source[i]["text"].decode() for i in range(TEXTS)]
    assert our_tokens("en", reviews) == fastai_tokens("en", reviews)


def test_german_reviews(data_dir: Path) -> None:
    path = data_dir / "cls-de-books" / "train.jsonl"
    if not path.is_file():
        pytest.skip(f"no German reviews at {path}")
    lines = path.read_text("utf-8").splitlines()[:TEXTS]
    reviews = [json.loads(line)["text"] for line in lines]
    assert our_tokens("de", reviews) == fastai_tokens("de", reviews)


def test_a_vocabulary_of_a_corpus_is_fastais() -> None:
    texts = [f"The film number {i % 7} was GOOD; really, really good.\n" for i in range(20)]
    numericalize = fastai.Numericalize(min_freq=3)
    numericalize.setup(fastai_tokens("en", texts))
    assert list(SpacyTokenizer.train(texts).vocabulary.tokens) == list(numericalize.vocab)
