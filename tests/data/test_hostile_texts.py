"""Files and folders made to exhaust a reader, or that it stumbled over once: each ends in one sentence or is read."""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path

import numpy as np
import pandas
import pyarrow
import pytest
from pyarrow import parquet

from ulmfit_jax.data import lines
from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.labels import check_labels
from ulmfit_jax.data.lists import label_list, text_list
from ulmfit_jax.data.reading import from_frame, iter_texts, read_dataset
from ulmfit_jax.errors import DataError


def test_a_line_that_never_ends_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LONGEST", 1000)
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"short\n" + b"x" * 5000))
    for documents in ("lines", "files", "blocks"):
        with pytest.raises(DataError, match=rf"{path}, line 2 has more than 1,000 bytes; break the text"):
            list(iter_texts(path, documents=documents))
    path.write_bytes(gzip.compress(b"short\n" * 500))
    with pytest.raises(DataError, match=rf"{path} has more than 1,000 characters; cut it into several documents"):
        list(iter_texts(path, documents="files"))
    assert len(list(iter_texts(path, documents="lines"))) == 500


def test_links_that_lead_back_are_followed_once(tmp_path: Path) -> None:
    (tmp_path / "pos" / "deep").mkdir(parents=True)
    (tmp_path / "neg").mkdir()
    (tmp_path / "pos" / "deep" / "a.txt").write_text("good")
    (tmp_path / "neg" / "b.txt").write_text("bad")
    for name in ("one", "two", "three"):  # three links in each folder would be read some 3 ** 40 times
        (tmp_path / "pos" / "deep" / name).symlink_to(tmp_path / "pos")
        (tmp_path / "neg" / name).symlink_to(tmp_path / "neg")
    assert read_dataset(tmp_path) == TextDataset(["bad", "good"], ["neg", "pos"], str(tmp_path))
    assert sorted(iter_texts(tmp_path)) == ["bad", "good"]


def test_a_folder_may_lie_deep(tmp_path: Path) -> None:
    deep = tmp_path.joinpath("label", *["d"] * 250)
    deep.mkdir(parents=True)
    (deep / "a.txt").write_text("found")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(200 + len(_stack()))
    try:
        assert read_dataset(tmp_path, require_labels=False).texts == list(iter_texts(tmp_path)) == ["found"]
    finally:
        sys.setrecursionlimit(limit)


def _stack() -> list[object]:
    frame, frames = sys._getframe(), []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_named(tmp_path: Path) -> None:
    for name in ("a.txt", "folder/b.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("secret")
    (tmp_path / "a.txt").chmod(0)
    (tmp_path / "folder").chmod(0)
    try:
        for place in ("a.txt", "folder"):
            with pytest.raises(DataError, match=rf"{tmp_path / place} cannot be read \(Permission denied\)"):
                list(iter_texts(tmp_path / place))
    finally:
        (tmp_path / "folder").chmod(0o700)


def test_what_the_system_refuses_is_named_for_root_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("secret")

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(lines, "_open", refuse)
    with pytest.raises(DataError, match=rf"{tmp_path / 'a.txt'} cannot be read \(Permission denied\)"):
        list(iter_texts(tmp_path / "a.txt"))


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    os.mkfifo(tmp_path / "a.txt")
    for read in (lambda: read_dataset(tmp_path / "a.csv"), lambda: iter_texts(tmp_path / "a.txt")):
        with pytest.raises(DataError, match=r"a\.\w+ is no file; give"):
            read()


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    for name in ("x" * 5000, "a\0b.csv", "a\0*.tsv"):
        for read in (read_dataset, iter_texts):
            with pytest.raises(DataError, match="does not exist; give"):
                list(read(name))


def test_labels_that_no_model_folder_can_hold(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "x", "label": "\\ud800"}\n')
    with pytest.raises(DataError, match=r"line 1: the label is '\\ud800', which is not whole Unicode"):
        read_dataset(path)
    with pytest.raises(DataError, match="labels is a table of 3 x 2: give a label for each text"):
        label_list(np.ones((3, 2)))
    assert label_list(np.ones((2, 1))) == ["1", "1"]


def test_numbers_of_thousands_of_digits(tmp_path: Path) -> None:
    long = "1" * 5000
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"text": "x", "label": {long}}}\n')
    with pytest.raises(DataError, match="line 1 holds a number of too many digits; put quotation marks"):
        read_dataset(path)
    assert check_labels(TextDataset(["x", "y"], [long, "2"], "s")) == (long, "2")


def test_lists_that_are_none() -> None:
    with pytest.raises(DataError, match="texts is None: give a list"):
        text_list(None)  # type: ignore[arg-type]
    for labels in (None, "ab"):
        with pytest.raises(DataError, match=f"labels is {labels!r}: give a list"):
            label_list(labels)  # type: ignore[arg-type]


def test_two_columns_of_one_name_in_a_data_frame() -> None:
    with pytest.raises(DataError, match="the data frame has two columns of one name"):
        from_frame(pandas.DataFrame([["a", "b", "c"]], columns=["text", "text", "label"]))


def test_parquet_that_python_cannot_hold(tmp_path: Path) -> None:
    broken = pyarrow.StringArray.from_buffers(
        2, pyarrow.py_buffer(np.array([0, 1, 2], "<i4").tobytes()), pyarrow.py_buffer(b"a\xff")
    )
    far = pyarrow.array([2**62, 0], pyarrow.timestamp("us"))
    for texts, message in ((broken, "behind row 0 that is not UTF-8"), (far, "as Parquet .date value out of range")):
        parquet.write_table(pyarrow.table({"text": texts, "label": ["x", "y"]}), tmp_path / "a.parquet")
        with pytest.raises(DataError, match=message):
            read_dataset(tmp_path / "a.parquet")


def test_rows_of_parquet_are_read_few_at_a_time(tmp_path: Path) -> None:
    """A dictionary makes a file of kilobytes out of a gigabyte of equal texts."""
    texts = pyarrow.DictionaryArray.from_arrays(np.zeros(1000, np.int8), pyarrow.array(["x" * 1_000_000]))
    parquet.write_table(pyarrow.table({"text": texts}), tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 1_000_000
    before = pyarrow.total_allocated_bytes()
    stream = iter_texts(tmp_path / "a.parquet")
    assert len(next(stream)) == 1_000_000
    assert pyarrow.total_allocated_bytes() - before < 400_000_000
