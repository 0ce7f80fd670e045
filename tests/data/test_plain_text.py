from __future__ import annotations

import gzip
import itertools
import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulmfit_jax.data import plain_text
from ulmfit_jax.data.reading import iter_texts
from ulmfit_jax.errors import ConfigError, DataError

TEXT = "Title\nFirst paragraph.\n\n\nOther\r\nMore.\n \nLast"
BLOCKS = ["Title\nFirst paragraph.", "Other\nMore.", "Last"]


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ("blocks", BLOCKS),
        ("lines", ["Title", "First paragraph.", "Other", "More.", "Last"]),
        ("files", ["Title\nFirst paragraph.\n\n\nOther\nMore.\n \nLast"]),
    ],
)
def test_what_a_document_is(tmp_path, documents, expected):
    (tmp_path / "a.txt").write_bytes(TEXT.encode())
    assert list(iter_texts(str(tmp_path / "a.txt"), documents=documents)) == expected


line = st.text(st.characters(codec="utf-8", exclude_characters="\r\n")).filter(str.strip)


@given(st.lists(st.lists(line, min_size=1), min_size=1), st.integers(1, 3))
def test_blocks_are_read_back(tmp_path_factory, documents, blank_lines):
    path = tmp_path_factory.mktemp("blocks") / "a.txt"
    texts = ["\n".join(lines) for lines in documents]
    path.write_bytes((("\n" * (blank_lines + 1)).join(texts) + "\n").encode())
    # A first character U+FEFF is the byte order mark.
    texts[0] = texts[0].removeprefix("\ufeff")
    found = list(iter_texts(str(path)))
    assert found == ([text for text in texts if text.strip()] if not texts[0].strip() else texts)


def test_files_of_a_folder_or_pattern_are_read_in_the_order_of_their_names(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "b.txt").write_text("two")
    (tmp_path / "a.txt.xz").write_bytes(lzma.compress(b"one"))
    (tmp_path / "deep" / "c.txt.gz").write_bytes(gzip.compress(b"three"))
    (tmp_path / "notes.md").write_text("no")
    (tmp_path / ".d.txt").write_text("no")
    assert list(iter_texts(str(tmp_path))) == ["one", "two", "three"]
    assert list(iter_texts(str(tmp_path / "*.txt*"))) == ["one", "two"]
    assert list(iter_texts(str(tmp_path / "**" / "*.gz"))) == ["three"]
    assert list(iter_texts(str(tmp_path / "notes.md"))) == ["no"]


def test_documents_come_before_the_error_behind_them(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\n\ntwo\n\ncaf\xe9\n")
    texts = iter_texts(str(path))
    assert [next(texts), next(texts)] == ["one", "two"]
    with pytest.raises(DataError, match=r"a.txt is not UTF-8: line 5 has the byte 0xe9 at column 4 \(byte 13"):
        next(texts)


def test_errors(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="does not exist"):
        iter_texts(str(tmp_path / "nothing*.txt"))
    with pytest.raises(DataError, match="holds no text files"):
        iter_texts(str(tmp_path))
    (tmp_path / "a.txt").touch()
    with pytest.raises(DataError, match=r"a.txt is empty"):
        list(iter_texts(str(tmp_path)))
    with pytest.raises(ConfigError, match="'pages'; it must be one of blocks, lines, files"):
        iter_texts(str(tmp_path), documents="pages")
    (tmp_path / "a.json").write_text("[]")
    for place in ("a.json", "*"):
        with pytest.raises(DataError, match=r"a.json is JSON"):
            iter_texts(str(tmp_path / place))
    (tmp_path / "a.txt").write_text("one document\n" * 20)
    monkeypatch.setattr(plain_text, "_LONGEST_BLOCK", 100)
    with pytest.raises(DataError, match=r"more than 100 characters without a blank line.*documents='lines'"):
        list(iter_texts(str(tmp_path)))


def test_wikipedia(data_dir):
    articles = list(itertools.islice(iter_texts(str(data_dir / "wikipedia-en")), 3))
    first_part = data_dir / "wikipedia-en" / "part-0-of-8.txt.xz"
    with lzma.open(first_part, "rt", encoding="utf-8") as file:
        start = file.read(sum(map(len, articles)) + 4)
    assert start == "\n\n".join(articles)
