from __future__ import annotations

import errno
import json
import logging
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from fake_tokenizer import FakeTokenizer
from hypothesis import given
from hypothesis import strategies as st

from ulmfit_jax.data import corpus_files
from ulmfit_jax.data.corpus import (
    Corpus,
    build_corpus,
    cached_corpus,
    corpus_in_memory,
    open_corpus,
    texts_fingerprint,
)
from ulmfit_jax.data.corpus_files import DESCRIPTION_FILE, OFFSETS_FILE, TOKENS_FILE
from ulmfit_jax.data.stream import LanguageModelStream
from ulmfit_jax.errors import ConfigError, DataError

TEXTS = ["a b c", "", "b b", "c"]


@pytest.fixture
def tokenizer() -> FakeTokenizer:
    return FakeTokenizer(["a", "b", "c"])


def same(corpus: Corpus, other: Corpus) -> bool:
    return np.array_equal(corpus.tokens, other.tokens) and np.array_equal(corpus.offsets, other.offsets)


@given(st.lists(st.lists(st.integers(0, 100_000))))
def test_from_arrays_gives_every_document_back(documents):
    corpus = Corpus.from_arrays([np.array(ids, dtype=np.int64) for ids in documents])
    assert [list(document) for document in corpus] == documents
    assert list(corpus.lengths) == [len(ids) for ids in documents]
    assert corpus.n_tokens == sum(map(len, documents))
    assert corpus.tokens.dtype == (np.uint16 if max(sum(documents, [0])) < 1 << 16 else np.uint32)


def test_indexing_counts_from_both_ends_and_stops_at_them():
    corpus = Corpus.from_arrays([np.array([1, 2]), np.array([3])])
    assert list(corpus[-1]) == [3]
    assert list(corpus[-2]) == [1, 2]
    for index in (2, -3):
        with pytest.raises(IndexError):
            corpus[index]


def test_select_copies_in_the_given_order():
    corpus = Corpus.from_arrays([np.array([1, 2]), np.array([3]), np.array([4, 5])])
    assert [list(document) for document in corpus.select([2, 0])] == [[4, 5], [1, 2]]
    assert len(corpus.select([])) == 0


@pytest.mark.parametrize("offsets", [[0, 3], [1, 2], [0, 2, 1, 2], []])
def test_offsets_that_do_not_fit_are_refused(offsets):
    with pytest.raises(DataError):
        Corpus(np.array([5, 6], dtype=np.uint16), np.array(offsets, dtype=np.int64))


def test_a_built_corpus_is_the_one_in_memory(tmp_path, tokenizer):
    built = build_corpus(iter(TEXTS), tokenizer, tmp_path / "deep" / "corpus")
    assert same(built, corpus_in_memory(TEXTS, tokenizer))
    assert same(built, open_corpus(tmp_path / "deep" / "corpus", verify=True))
    assert [list(document) for document in built] == [list(tokenizer.encode(text)) for text in TEXTS]
    assert not built.tokens.flags.writeable
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["corpus"]


@pytest.mark.parametrize(("size", "dtype"), [(1 << 16, np.uint16), ((1 << 16) + 1, np.uint32)])
def test_the_vocabulary_decides_the_dtype(tmp_path, size, dtype):
    tokenizer = FakeTokenizer(size=size)
    corpus = build_corpus([f"filler{size - 10}"], tokenizer, tmp_path / "corpus")
    assert corpus.tokens.dtype == dtype
    assert list(corpus[0]) == [2, size - 1]


@pytest.mark.parametrize("texts", [[], [""]])
def test_a_corpus_may_be_empty(tmp_path, texts, tokenizer):
    class Silent(FakeTokenizer):
        def encode(self, text: str) -> np.ndarray:
            return np.empty(0, dtype=np.int32)

    corpus = build_corpus(texts, Silent(), tmp_path / "corpus")
    assert len(corpus) == len(texts)
    assert corpus.n_tokens == 0
    assert cached_corpus(texts, Silent(), None).n_tokens == 0


def test_what_stands_in_the_folder_is_left_alone(tmp_path, tokenizer):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(DataError, match="exists already"):
        build_corpus(TEXTS, tokenizer, tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "precious"


def test_a_failed_build_leaves_nothing(tmp_path, tokenizer):
    def texts():
        yield "a"
        raise DataError("the file is not UTF-8")

    with pytest.raises(DataError, match="not UTF-8"):
        build_corpus(texts(), tokenizer, tmp_path / "corpus")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, tokenizer, monkeypatch):
    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(corpus_files._HashedFile, "write", full)
    with pytest.raises(DataError, match="No free disk"):
        build_corpus(TEXTS, tokenizer, tmp_path / "corpus")
    assert list(tmp_path.iterdir()) == []


def damage_size(folder: Path) -> None:
    with (folder / TOKENS_FILE).open("ab") as file:
        file.write(b"x")


def damage_content(folder: Path) -> None:
    content = bytearray((folder / TOKENS_FILE).read_bytes())
    content[0] ^= 1
    (folder / TOKENS_FILE).write_bytes(content)


def damage_missing(folder: Path) -> None:
    (folder / OFFSETS_FILE).unlink()


def damage_no_description(folder: Path) -> None:
    (folder / DESCRIPTION_FILE).unlink()


def damage_half_description(folder: Path) -> None:
    text = (folder / DESCRIPTION_FILE).read_text()
    (folder / DESCRIPTION_FILE).write_text(text[: len(text) // 2])


def damage_strange_description(folder: Path) -> None:
    (folder / DESCRIPTION_FILE).write_text('{"format_version": 1, "dtype": "object"}')


def damage_version(folder: Path) -> None:
    description = json.loads((folder / DESCRIPTION_FILE).read_text())
    (folder / DESCRIPTION_FILE).write_text(json.dumps(description | {"format_version": 99}))


DAMAGES = {
    damage_size: "bytes instead of",
    damage_content: "was altered",
    damage_missing: "is missing",
    damage_no_description: "holds no corpus",
    damage_half_description: "is damaged",
    damage_strange_description: "is damaged",
    damage_version: "format version 99",
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.items())
def test_damage_is_found_on_opening(tmp_path, tokenizer, damage, message):
    build_corpus(TEXTS, tokenizer, tmp_path / "corpus")
    damage(tmp_path / "corpus")
    with pytest.raises(DataError, match=message):
        open_corpus(tmp_path / "corpus", verify=True)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_built_again_and_said(tmp_path, tokenizer, damage, caplog):
    first = cached_corpus(TEXTS, tokenizer, tmp_path)
    [folder] = tmp_path.iterdir()
    damage(folder)
    with caplog.at_level(logging.WARNING):
        again = cached_corpus(TEXTS, tokenizer, tmp_path)
    assert same(again, corpus_in_memory(TEXTS, tokenizer))
    assert len(first) == len(again)
    assert "built again" in caplog.text
    assert list(tmp_path.iterdir()) == [folder]


def test_the_cache_is_used(tmp_path, tokenizer):
    first = cached_corpus(TEXTS, tokenizer, tmp_path)
    second = cached_corpus(tuple(TEXTS), tokenizer, tmp_path)
    assert same(first, second)
    assert tokenizer.calls == 1


def test_other_texts_or_another_tokenizer_are_another_corpus(tmp_path, tokenizer):
    cached_corpus(TEXTS, tokenizer, tmp_path)
    cached_corpus(TEXTS[::-1], tokenizer, tmp_path)
    cached_corpus(TEXTS, FakeTokenizer(["b", "a", "c"]), tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_what_can_be_read_only_once_is_refused(tmp_path, tokenizer):
    with pytest.raises(ConfigError, match="twice"):
        cached_corpus(iter(TEXTS), tokenizer, tmp_path)
    with pytest.raises(ConfigError, match="twice"):
        cached_corpus(iter(TEXTS), tokenizer, tmp_path, fingerprint=texts_fingerprint(TEXTS))
    assert list(tmp_path.iterdir()) == []
    corpus = cached_corpus(TEXTS, tokenizer, tmp_path, fingerprint=texts_fingerprint(TEXTS))
    assert same(corpus, cached_corpus(TEXTS, tokenizer, tmp_path))
    assert tokenizer.calls == 1


@given(st.lists(st.text()), st.lists(st.text()))
def test_the_fingerprint_tells_texts_apart(texts, others):
    assert (texts_fingerprint(texts) == texts_fingerprint(others)) == (texts == others)


def test_the_fingerprint_knows_where_a_text_ends():
    assert texts_fingerprint(["ab", "c"]) != texts_fingerprint(["a", "bc"])
    assert texts_fingerprint(["\ud800"]) != texts_fingerprint(["\ud801"])


def test_memory_does_not_grow_with_the_texts(tmp_path, tokenizer):
    """Neither of tokenising nor of reading an epoch; figures of real texts: docs/reliability.md."""

    def peak(documents: int) -> int:
        tracemalloc.start()
        corpus = build_corpus(("a b c " * 400 for _ in range(documents)), tokenizer, tmp_path / str(documents))
        read = sum(inputs.size for inputs, _ in LanguageModelStream(corpus, 4, 8, shuffle=True).epoch(0))
        taken = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert read > 1100 * documents
        return taken

    peak(10)  # what is loaded and kept at the first use
    little, much = peak(20), peak(400)
    assert much - little < 380 * 1200 * 2 / 4, "a quarter of the tokens that came on top would be too much"


def test_two_builders_at_once_agree(tmp_path):
    both_write = threading.Barrier(2, timeout=30)

    class Meeting(FakeTokenizer):
        def encode_batch(self, texts, workers=1):
            both_write.wait()
            yield from map(self.encode, texts)
            both_write.wait()

    found: list[Corpus] = []
    tokenizer = Meeting(["a", "b", "c"])
    builders = [
        threading.Thread(target=lambda: found.append(cached_corpus(TEXTS, tokenizer, tmp_path))) for _ in range(2)
    ]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join()
    assert len(found) == 2
    assert same(found[0], found[1])
    assert len(list(tmp_path.iterdir())) == 1
