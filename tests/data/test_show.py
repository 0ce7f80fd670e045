from __future__ import annotations

from fake_tokenizer import FakeTokenizer

from ulmfit_jax.data.corpus import corpus_in_memory
from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.show import show_documents, show_language_model_batch
from ulmfit_jax.data.stream import LanguageModelStream

WORDS = ["a", "good", "film", "bad"]


def test_documents_beside_their_labels():
    table = show_documents(["a good film", "a bad film", "a"], ["pos", "neg", "pos"], FakeTokenizer(WORDS), rows=2)
    assert table.splitlines() == [
        "text              | label",
        "------------------+------",
        "xxbos a good film | pos",
        "------------------+------",
        "xxbos a bad film  | neg",
        "------------------+------",
    ]


def test_a_data_set_brings_its_labels():
    dataset = TextDataset(["a film"], ["pos"], "s")
    assert "xxbos a film | pos" in show_documents(dataset, None, FakeTokenizer(WORDS))
    assert "pos" not in show_documents(dataset.texts, None, FakeTokenizer(WORDS))


def test_long_documents_are_wrapped_and_cut():
    table = show_documents(["film " * 1000], ["pos"], FakeTokenizer(WORDS), width=50)
    assert max(map(len, table.splitlines())) <= 50 + len(" | label")
    assert "…" in table
    assert len(table.splitlines()) < 15


def test_a_language_model_batch_is_shifted_by_one():
    tokenizer = FakeTokenizer(WORDS)
    stream = LanguageModelStream(corpus_in_memory(["a good film a bad film good"], tokenizer), batch_size=2, bptt=3)
    assert show_language_model_batch(stream, tokenizer).splitlines() == [
        "text         | text_",
        "-------------+------------",
        "xxbos a good | a good film",
        "-------------+------------",
        "film a bad   | a bad film",
        "-------------+------------",
    ]
