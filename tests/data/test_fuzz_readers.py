"""Whatever the bytes of a file are: what was written is what is read, or one sentence names the file."""

from __future__ import annotations

import csv
import gzip
import io
import json
import lzma
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyarrow import parquet

from fuzzing import Edit, cases, check_sentence, edited, edits
from ulmfit_jax.data.reading import iter_texts, read_dataset
from ulmfit_jax.errors import DataError, UlmfitError

COMPRESS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}

HARD = ["", "\0", "\ufeff", '"', "'", ",", "\t", "\r\n", "\n", "\r", "\x1a", "\x1f", "\x85", "\u2028", "\u0301", "NULL"]
text = st.text(st.characters(codec="utf-8"), max_size=20) | st.lists(st.sampled_from(HARD), max_size=5).map("".join)
broken_text = text | st.text(st.characters(categories=["Cs", "Ll", "Cc"]), max_size=10)
label = text.map(str.strip).filter(bool)
rows = st.lists(st.tuples(text, label, text), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(COMPRESS[path.suffix if path.suffix in COMPRESS else ""](content))
    return path


@cases(30)
@given(
    rows,
    st.sampled_from([".csv", ".tsv"]),
    st.sampled_from(sorted(COMPRESS)),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from(["utf-8", "utf-8-sig"]),
)
def test_what_the_csv_writer_wrote_is_read(
    folder: Path, rows: list[tuple[str, str, str]], suffix: str, packed: str, quoting: Any, encoding: str
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter="\t" if suffix == ".tsv" else ",", quoting=quoting)
    writer.writerows([("text", "label", "more"), *rows])
    path = write(folder, f"a{suffix}{packed}", out.getvalue().encode(encoding))
    dataset = read_dataset(path)
    assert list(zip(dataset.texts, dataset.labels or (), strict=True)) == [row[:2] for row in rows]
    assert list(iter_texts(path)) == dataset.texts


@cases(30)
@given(st.lists(st.tuples(broken_text, label | st.integers() | st.booleans()), min_size=1, max_size=6), st.booleans())
def test_what_json_wrote_is_read(folder: Path, rows: list[tuple[str, Any]], escaped: bool) -> None:
    lines = (json.dumps({"label": label, "text": text}, ensure_ascii=escaped) + "\n" for text, label in rows)
    path = write(folder, "a.jsonl.gz", "".join(lines).encode("utf-8", "surrogatepass" if escaped else "replace"))
    dataset = read_dataset(path)
    shown = [joined(text) if escaped else text.encode("utf-8", "replace").decode() for text, _ in rows]
    assert (dataset.texts, dataset.labels) == (shown, [str(label) for _, label in rows])


def joined(text: str) -> str:
    """JSON has no other way to write a character than as a pair of halves."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


@cases(20)
@given(
    st.lists(st.tuples(st.none() | text, label), min_size=1, max_size=6),
    st.sampled_from([pyarrow.string(), pyarrow.large_string(), pyarrow.dictionary(pyarrow.int8(), pyarrow.string())]),
    st.sampled_from(["none", "snappy", "zstd", "gzip"]),
)
def test_what_arrow_wrote_is_read(folder: Path, rows: list[tuple[str | None, str]], kind: Any, packed: str) -> None:
    texts, labels = zip(*rows, strict=True)
    table = pyarrow.table({"text": pyarrow.array(texts, kind), "label": labels})
    parquet.write_table(table, folder / "a.parquet", row_group_size=2, compression=packed)
    dataset = read_dataset(folder / "a.parquet")
    assert (dataset.texts, dataset.labels) == ([text or "" for text in texts], list(labels))


@cases(20)
@given(st.dictionaries(st.sampled_from(["pos", "neg", "a b", "é"]), st.lists(text, min_size=1, max_size=3), min_size=1))
def test_files_in_folders_are_read(groups: dict[str, list[str]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        for group, texts in groups.items():
            (Path(name) / group / "deep").mkdir(parents=True)
            for number, content in enumerate(texts):
                (Path(name) / group / "deep" / f"{number}.txt").write_bytes(content.encode())
        dataset = read_dataset(name)
        assert sorted(zip(dataset.labels or (), dataset.texts, strict=True)) == sorted(
            (group, as_document(content)) for group, texts in groups.items() for content in texts
        )
        assert sorted(iter_texts(name, documents="files")) == sorted(dataset.texts)


def as_document(content: str) -> str:
    """A text as it comes back from a file of its own: without byte order mark, last line break and carriage returns."""
    return content.removeprefix("\ufeff").replace("\r\n", "\n").removesuffix("\n")


@cases(30)
@given(st.lists(text, min_size=1, max_size=6), st.sampled_from(sorted(COMPRESS)), st.booleans())
def test_lines_are_read(folder: Path, texts: list[str], packed: str, marked: bool) -> None:
    content = "\ufeff" * marked + "".join(text.replace("\n", " ") + "\n" for text in texts)
    path = write(folder, f"a.txt{packed}", content.encode())
    lines = [line.rstrip("\r") for line in content.removeprefix("\ufeff").split("\n")[:-1]]
    assert list(iter_texts(path, documents="lines")) == [line for line in lines if line.strip()]
    if not packed:
        assert read_dataset(path, require_labels=False).texts == lines


@cases(30)
@given(st.data(), st.sampled_from([".gz", ".xz"]), text)
def test_every_beginning_of_a_packed_file_is_refused(folder: Path, data: st.DataObject, packed: str, text: str) -> None:
    path = write(folder, f"cut.txt{packed}", text.encode() + b"more\n" * 50)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(DataError, match=r"damaged or cut off|is empty") as caught:
        list(iter_texts(path, documents="lines"))
    check_sentence(caught.value, path)


def parquet_bytes() -> bytes:
    out = io.BytesIO()
    parquet.write_table(pyarrow.table({"text": ["a", "b\n", None], "label": ["x", "y", "x"]}), out)
    return out.getvalue()


GOOD: dict[str, bytes] = {
    "a.csv": b'text,label\n"a, ""b""\nc",x\nd,y\n\n',
    "a.tsv": b"text\tlabel\na\tx\nd\ty\n",
    "a.jsonl": b'{"text": "a", "label": "x"}\n{"text": "\\ud83d", "label": 1.0, "more": [{}, null]}\n\n',
    "a.txt": b"one\r\n\n\xef\xbb\xbftwo\nthree",
    "a.parquet": parquet_bytes(),
}


def files() -> Iterator[tuple[str, bytes]]:
    for name, content in GOOD.items():
        for packed, compress in COMPRESS.items() if name != "a.parquet" else (("", bytes),):
            yield f"{name}{packed}", compress(content)


@cases(80)
@given(st.sampled_from(list(files())), edits | st.binary(max_size=60), st.booleans())
@example(("a.jsonl", b""), b'{"text": "a", "label": ' + b"1" * 5000 + b"}", True)
@example(("a.jsonl", b""), b'{"text": "a", "label": "\\ud800"}', True)
@example(("a.csv", b""), b"\xff\xfet\0e\0x\0t\0", True)
@example(("a.csv", b""), b'text,label\n"never closed,x\ny,z', True)
def test_a_damaged_file_is_read_or_named(
    folder: Path, file: tuple[str, bytes], change: bytes | list[Edit], labels: bool
) -> None:
    name, content = file
    path = folder / name
    path.write_bytes(change if isinstance(change, bytes) else edited(content, change))
    for read in (
        lambda: read_dataset(path, require_labels=labels).texts,
        lambda: list(iter_texts(path)),
        lambda: list(iter_texts(path, documents="lines")),
        lambda: list(iter_texts(path, documents="files")),
    ):
        try:
            assert all(isinstance(text, str) for text in read())
        except UlmfitError as error:
            check_sentence(error, path)


@cases(30)
@given(
    st.text(st.characters(exclude_characters="./*"), max_size=30).map("no such {}".format)
    | st.sampled_from(["x" * 5000, "a\0.csv", "\ud800.txt", "/dev/null", "tfds:", "[", "/a\0*"])
)
@example("/dev/zero")
def test_any_name_of_a_file_is_refused_or_read(name: str) -> None:
    for read in (read_dataset, lambda name: list(iter_texts(name))):
        try:
            read(name)
        except UlmfitError as error:
            said = str(error)
            assert len(said) < len(name) + 500
