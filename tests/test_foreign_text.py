"""Texts that the shipped model hardly knows are noticed."""

from __future__ import annotations

import logging

import pytest

from ulmfit_jax import LanguageModel
from ulmfit_jax.dry_run import language_model_dry_run
from ulmfit_jax.foreign_text import foreign_text_note
from ulmfit_jax.text import Tokenizer

ENGLISH = ["The kettle boils quickly, and the lid has never once come loose in three years of daily use."] * 12
GERMAN = ["Das Buch erzählt die Geschichte einer Familie, deren Schicksal über drei Generationen hinweg fesselt."] * 12
NUCLEOTIDES = ["ACGTTGCAACGGTTACCGATTACGATCGATTTAGGCCATTACG"] * 12


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return LanguageModel("wikipedia-small-forward").tokenizer


def test_english_is_known(tokenizer: Tokenizer) -> None:
    assert foreign_text_note("wikipedia-small-forward", tokenizer, ENGLISH) is None


@pytest.mark.parametrize("texts", [GERMAN, NUCLEOTIDES])
def test_what_falls_into_many_pieces_is_not(texts: list[str], tokenizer: Tokenizer) -> None:
    note = foreign_text_note("wikipedia-small-forward", tokenizer, texts)
    assert note is not None
    assert "pieces a word: wikipedia-small-forward, which reads English" in note


def test_little_text_or_a_model_of_ones_own_says_nothing(tokenizer: Tokenizer) -> None:
    assert foreign_text_note("wikipedia-small-forward", tokenizer, GERMAN[:1]) is None
    assert foreign_text_note("my-model", tokenizer, GERMAN) is None
    assert foreign_text_note(None, tokenizer, GERMAN) is None


def test_training_and_its_plan_say_so(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is compiled."""

    def no_time(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ulmfit_jax.language_model_fit.train_language_model", no_time)
    monkeypatch.setattr("ulmfit_jax.training_estimate.timings_within", no_time)
    for begin in (LanguageModel.fit, language_model_dry_run):
        caplog.clear()
        with pytest.raises(KeyboardInterrupt):
            begin(LanguageModel("wikipedia-small-forward", batch_size=4, bptt=8, devices=1), GERMAN)
        warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert [line for line in warned if "hardly knows such texts" in line]
