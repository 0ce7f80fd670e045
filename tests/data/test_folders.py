from __future__ import annotations

import gzip
import logging
from pathlib import Path

import pytest

from ulmfit_jax.data.reading import read_dataset
from ulmfit_jax.errors import DataError


def make(folder: Path, files: dict[str, str | bytes]) -> str:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(folder)


def test_sub_folders_are_labels_in_sorted_order(tmp_path):
    location = make(
        tmp_path,
        {
            "pos/2.txt": "good",
            "pos/10.TXT": "grand\r\nand\r\n",
            "pos/deeper/1.txt": "great",
            "pos/packed.txt.gz": gzip.compress(b"gorgeous"),
            "neg/1.txt": "bad\n",
            "neg/empty.txt": "",
            "neg/notes.md": "not a document",
            "neg/.hidden.txt": "not a document",
            ".git/1.txt": "not a document",
            "empty/readme.md": "not a label",
        },
    )
    dataset = read_dataset(location)
    assert dataset.texts == ["bad", "", "grand\nand", "good", "great", "gorgeous"]
    assert dataset.labels == ["neg", "neg", "pos", "pos", "pos", "pos"]


def test_the_imdb_archive_as_it_is(tmp_path, caplog):
    location = make(
        tmp_path,
        {"neg/1.txt": "bad", "pos/1.txt": "good", "unsup/1.txt": "hm", "urls_pos.txt": "http://…"},
    )
    with caplog.at_level(logging.WARNING):
        dataset = read_dataset(location)
    assert dataset.texts == ["bad", "good"]
    assert "1 .txt files beside the sub-folders are left out" in caplog.text
    assert "the 1 documents of unsup have no label and are left out" in caplog.text
    everything = read_dataset(location, require_labels=False)
    assert everything.texts == ["bad", "good", "hm"]
    assert everything.labels is None


def test_files_alone_have_no_labels(tmp_path):
    location = make(tmp_path, {"b.txt": "two", "a.txt": "one"})
    dataset = read_dataset(location, require_labels=False)
    assert (dataset.texts, dataset.labels) == (["one", "two"], None)
    with pytest.raises(DataError, match="has no labels: put its"):
        read_dataset(location)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"train/pos/1.txt": "x", "test/pos/1.txt": "x"}, "holds the parts test, train .* such as .*test"),
        ({"readme.md": "x"}, "holds no .txt files"),
        ({"pos/1.txt": b"caf\xe9"}, r"1.txt is not UTF-8: line 1 has the byte 0xe9"),
    ],
)
def test_errors(tmp_path, files, message):
    with pytest.raises(DataError, match=message):
        read_dataset(make(tmp_path, files))
