"""What holds for every kind of tokenizer: the protocol, saving and loading, encoding in batches."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from ulmfit_jax.errors import ArtifactError, ConfigError, DataError
from ulmfit_jax.text import (
    SentencePieceTokenizer,
    SpacyTokenizer,
    Tokenizer,
    WordTokenizer,
    load_tokenizer,
    parallel,
)
from ulmfit_jax.text.storage import write_tokenizer
from ulmfit_jax.text.tokenizer import tokenizer_trainer

CORPUS = ["The cat sat on the mat.\n\nThe DOG ran!!!", "A cat ran; no no no dog sat.", "", "It's the $5 <unk> mat"] * 4
UNSEEN = ["the the cat", "A zebra, ☃!", "no " * 50, "\ud800 x\x00y", "CATS\nDOGS"]


@pytest.fixture(scope="module", params=["sentencepiece", "words", "spacy"])
def tokenizer(request) -> Tokenizer:
    if request.param == "spacy":
        pytest.importorskip("spacy")
        return SpacyTokenizer.train(CORPUS, min_freq=1)
    if request.param == "words":
        return WordTokenizer.train(CORPUS, min_freq=1)
    return SentencePieceTokenizer.train(CORPUS, vocabulary_size=60)


def same(left, right) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


def test_keeps_the_protocol(tokenizer):
    assert isinstance(tokenizer, Tokenizer)


def test_a_saved_tokenizer_is_the_same_bit_for_bit(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "new" / "folder")
    loaded = load_tokenizer(tmp_path / "new" / "folder")
    assert type(loaded) is type(tokenizer)
    assert loaded.vocabulary == tokenizer.vocabulary
    assert loaded.fingerprint() == tokenizer.fingerprint()
    assert same(map(loaded.encode, CORPUS + UNSEEN), map(tokenizer.encode, CORPUS + UNSEEN))
    before = {path.name: path.read_bytes() for path in (tmp_path / "new" / "folder").iterdir()}
    loaded.save(tmp_path / "new" / "folder")
    assert {path.name: path.read_bytes() for path in (tmp_path / "new" / "folder").iterdir()} == before
    assert before.keys() == {"tokenizer.json", tokenizer.file_name}


def test_a_pickled_tokenizer_is_the_same(tokenizer):
    copied = pickle.loads(pickle.dumps(tokenizer))
    assert copied.fingerprint() == tokenizer.fingerprint()
    assert same(map(copied.encode, UNSEEN), map(tokenizer.encode, UNSEEN))


def test_fingerprints_tell_tokenizers_apart(tokenizer):
    others = [WordTokenizer.train(["other"], min_freq=1), SentencePieceTokenizer.train(["other"])]
    assert len({other.fingerprint() for other in [tokenizer, *others]}) == 3


def test_other_texts_get_their_own_words_or_need_none(tokenizer):
    adapted = tokenizer.adapted(["a zebra"] * 3)
    assert adapted.kind == tokenizer.kind
    assert ("zebra" in adapted.vocabulary) == tokenizer.closed_vocabulary
    assert (adapted is tokenizer) != tokenizer.closed_vocabulary


def test_pieces_and_decoding(tokenizer):
    ids = tokenizer.encode("The cat sat")
    assert tokenizer.pieces(ids)[:2] == ["xxbos", "xxmaj"]
    assert tokenizer.decode(ids) == "The cat sat"
    assert tokenizer.decode([*ids.tolist(), 1, 1, 1]) == "The cat sat"


def test_a_batch_is_read_lazily_and_in_order(tokenizer):
    read = []

    def texts():
        for text in CORPUS + UNSEEN:
            read.append(text)
            yield text

    batch = tokenizer.encode_batch(texts())
    assert read == []
    next(batch)
    assert len(read) == 1
    assert same(batch, map(tokenizer.encode, (CORPUS + UNSEEN)[1:]))
    assert list(tokenizer.encode_batch([])) == []


@pytest.mark.parametrize("workers", [0, -1])
def test_senseless_workers_are_refused(tokenizer, workers):
    with pytest.raises(ConfigError, match=f"workers is {workers}; it has to be 1 or more"):
        tokenizer.encode_batch(CORPUS, workers=workers)


def test_few_texts_start_no_processes(tokenizer, monkeypatch):
    monkeypatch.setattr(parallel, "ProcessPoolExecutor", None)
    assert same(tokenizer.encode_batch(iter(CORPUS), workers=2), map(tokenizer.encode, CORPUS))
    assert list(tokenizer.encode_batch([], workers=2)) == []


def test_processes_give_the_same_ids_in_order_and_bounded_memory(monkeypatch):
    tokenizer = WordTokenizer.train(CORPUS, min_freq=1)
    monkeypatch.setattr(parallel, "CHUNK_CHARACTERS", 200)
    monkeypatch.setattr(parallel, "SMALL", 3)
    texts = [f"{text} {i}" for i, text in enumerate((CORPUS + UNSEEN) * 20)]
    assert same(tokenizer.encode_batch(iter(texts), workers=2), map(tokenizer.encode, texts))

    read = []
    endless = (read.append(i) or f"cat {i}" for i in range(10**9))
    batch = tokenizer.encode_batch(endless, workers=2)
    first = [ids.tolist() for ids in islice(batch, 10)]
    batch.close()
    assert first == [tokenizer.encode(f"cat {i}").tolist() for i in range(10)]
    assert len(read) < 1000


def test_an_error_in_a_process_is_the_users_error(monkeypatch):
    tokenizer = WordTokenizer.train(CORPUS, min_freq=1)
    monkeypatch.setattr(parallel, "CHUNK_CHARACTERS", 1)
    monkeypatch.setattr(parallel, "SMALL", 1)
    with pytest.raises(DataError, match="give texts as str"):
        list(tokenizer.encode_batch(["a", None], workers=2))


def test_processes_that_cannot_start_are_explained(tmp_path):
    """The usual mistake: a script that asks for processes without `if __name__ == "__main__":`."""
    script = tmp_path / "script.py"
    script.write_text(
        "from ulmfit_jax.text import WordTokenizer, parallel\n"
        "parallel.SMALL = 1\n"
        "list(WordTokenizer.train(['a b c']).encode_batch(['x ' * 200_000] * 3, workers=2))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ConfigError: the 2 processes that encode texts have stopped; use workers=1" in done.stderr


def test_the_room_loads_neither_jax_nor_anything_heavy():
    heavy = {"jax", "flax", "tensorflow", "tensorflow_datasets", "pandas", "pyarrow", "spacy"}
    command = f"import sys, ulmfit_jax.text; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def edited(**changes):
    def edit(folder: Path, file_name: str) -> None:
        path = folder / "tokenizer.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


def remove_description(folder: Path, file_name: str) -> None:
    (folder / "tokenizer.json").unlink()


def truncate_description(folder: Path, file_name: str) -> None:
    (folder / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes()[:20])


def list_as_description(folder: Path, file_name: str) -> None:
    (folder / "tokenizer.json").write_text("[]")


def remove_content(folder: Path, file_name: str) -> None:
    (folder / file_name).unlink()


def truncate_content(folder: Path, file_name: str) -> None:
    (folder / file_name).write_bytes((folder / file_name).read_bytes()[:-1])


DAMAGES = [
    (remove_description, r"tokenizer.json cannot be read \(No such file or directory\)"),
    (truncate_description, "tokenizer.json is not JSON"),
    (list_as_description, "tokenizer.json holds no JSON object"),
    (remove_content, r"cannot be read \(No such file or directory\)"),
    (truncate_content, "is not the file that was saved"),
    (edited(format_version=2), "has format version 2, but this version of ulmfit_jax reads version 1"),
    (edited(kind="bytes"), "is not the file that was saved"),
    (edited(kind=None), "does not name the tokenizer's kind and file"),
    (edited(file="../other"), "does not name the tokenizer's kind and file"),
    (edited(rules="fastai-1"), "was made with the text rules 'fastai-1'"),
]


@pytest.mark.parametrize(("damage", "words"), DAMAGES)
def test_a_damaged_folder_is_refused(tokenizer, tmp_path, damage, words):
    tokenizer.save(tmp_path)
    damage(tmp_path, tokenizer.file_name)
    with pytest.raises(ArtifactError, match=words) as caught:
        load_tokenizer(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["sentencepiece", "words", "spacy", "spacy:de"])
def test_a_tokenizer_is_trained_by_its_name(name):
    kind, _, language = name.partition(":")
    if kind == "spacy":
        pytest.importorskip("spacy")
    tokenizer = tokenizer_trainer(name)(CORPUS, 60)
    assert tokenizer.kind == kind
    assert len(tokenizer.vocabulary) <= 64
    assert getattr(tokenizer, "language", None) == {"spacy": language or "en"}.get(kind)


@pytest.mark.parametrize("name", ["", "bytes", "words:de"])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(ConfigError, match=f"tokenizer is '{name}': choose 'sentencepiece', 'words', 'spacy' or"):
        tokenizer_trainer(name)


def test_an_unknown_kind_is_refused(tmp_path):
    write_tokenizer(tmp_path, "bytes", "bytes.bin", b"")
    with pytest.raises(
        ArtifactError, match=r"is of kind 'bytes', but this version .* 'sentencepiece', 'words', 'spacy'"
    ):
        load_tokenizer(tmp_path)
