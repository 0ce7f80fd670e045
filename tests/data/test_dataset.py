"""Reading tables, plain text and data frames: what comes out, and every error with its place."""

from __future__ import annotations

import datetime
import gzip
import json
import logging
import lzma
from pathlib import Path

import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.reading import TextStream, from_frame, iter_rows, iter_texts, read_dataset
from ulmfit_jax.errors import ConfigError, DataError, UlmfitError

TEXTS = ["It was, so to speak, good", 'He said "no"\nand left', "größte Güte"]
LABELS = ["pos", "neg", "pos"]
CSV = 'text,label\n"It was, so to speak, good",pos\n"He said ""no""\nand left",neg\ngrößte Güte,pos\n'


def write(path: Path, content: str | bytes) -> str:
    data = content.encode() if isinstance(content, str) else content
    match path.suffix:
        case ".gz":
            data = gzip.compress(data)
        case ".xz":
            data = lzma.compress(data)
    path.write_bytes(data)
    return str(path)


def jsonl(rows: list[dict]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


FORMS = {
    "a.csv": CSV,
    "windows.csv": "\ufeff" + CSV.replace("\n", "\r\n").replace('no""\r\n', 'no""\n'),
    "CAPITALS.CSV": CSV,
    "a.csv.gz": CSV,
    "a.csv.xz": CSV,
    "blank_rows.csv": CSV + "\n\n",
    "a.tsv": CSV.replace("text,label", "text\tlabel").replace(",pos", "\tpos").replace(",neg", "\tneg"),
    "semicolons.csv": CSV.replace("text,label", "text;label").replace(",pos", ";pos").replace(",neg", ";neg"),
    "bars.csv": CSV.replace("text,label", '"text"|"label"').replace(",pos", "|pos").replace(",neg", "|neg"),
    "no_tabs.tsv": CSV,
    "utf16.csv": CSV.replace("\n", "\r\n").replace('no""\r\n', 'no""\n').encode("utf-16"),
    "utf16_big.csv.gz": b"\xfe\xff" + CSV.encode("utf-16-be"),
    "utf32.csv": CSV.encode("utf-32"),
    "other_columns.csv": 'id,Sentiment,REVIEW\n1,pos,"It was, so to speak, good"\n'
    '2,neg,"He said ""no""\nand left"\n3,pos,größte Güte\n',
    "a.jsonl": jsonl([{"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)]),
    "a.ndjson": "\n" + jsonl([{"sentence": t, "category": c} for t, c in zip(TEXTS, LABELS, strict=True)]) + "\n",
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same(tmp_path, name):
    location = write(tmp_path / name, FORMS[name])
    dataset = read_dataset(location)
    assert dataset == TextDataset(TEXTS, LABELS, location)
    assert list(iter_texts(location)) == TEXTS


def test_parquet_and_data_frames_give_the_same(tmp_path):
    frame = pandas.DataFrame({"n": [1, 2, 3], "text": TEXTS, "label": LABELS})
    location = str(tmp_path / "a.parquet")
    frame.to_parquet(location)
    assert read_dataset(location) == TextDataset(TEXTS, LABELS, location)
    assert list(iter_texts(location)) == TEXTS
    assert from_frame(frame) == TextDataset(TEXTS, LABELS, "the data frame")
    assert from_frame(frame[["text"]]).labels is None


def test_columns_go_along(tmp_path):
    when = [datetime.date(2024, 2, 29), None, datetime.date(1999, 1, 1)]
    frame = pandas.DataFrame({"n": [1, 2, 3], "text": TEXTS, "label": LABELS, "when": when})
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_csv(tmp_path / "a.csv", index=False)
    rows = list(iter_rows(tmp_path / "a.parquet", ["when", "label", "n"]))
    kept = [{"when": day, "label": label, "n": n} for day, label, n in zip(when, LABELS, [1, 2, 3], strict=True)]
    assert rows == list(zip(TEXTS, kept, strict=True))
    in_csv = [{"when": str(row["when"] or ""), "label": row["label"], "n": str(row["n"])} for row in kept]
    assert list(iter_rows(tmp_path / "a.csv", ["when", "label", "n"])) == list(zip(TEXTS, in_csv, strict=True))
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="has no columns that could go along"):
        iter_rows(tmp_path / "folder", ["n"])
    (tmp_path / "a.xlsx").write_bytes(b"")
    with pytest.raises(DataError, match="is a spreadsheet"):
        iter_rows(tmp_path / "a.xlsx", "n")
    assert next(iter_rows(tmp_path / "a.csv", "n")) == (TEXTS[0], {"n": "1"})


# pandas leaves a lone CR without quotation marks, and nobody can tell it from a line break then.
texts = st.text(st.characters(codec="utf-8", exclude_characters="\r"))
rows = st.lists(st.tuples(texts, st.sampled_from(["a", "b"])), min_size=1)


@given(rows)
def test_tables_written_by_others_are_read_back(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("tables")
    frame = pandas.DataFrame(rows, columns=["text", "label"])
    texts, labels = frame.text.tolist(), frame.label.tolist()
    frame.to_csv(folder / "a.csv", index=False)
    frame.to_json(folder / "a.jsonl", orient="records", lines=True, force_ascii=False)
    frame.to_parquet(folder / "a.parquet", index=False)
    for name in ("a.csv", "a.jsonl", "a.parquet"):
        dataset = read_dataset(str(folder / name))
        assert (dataset.texts, dataset.labels) == (texts, labels)


def test_numbers_become_their_decimal_strings(tmp_path):
    location = write(
        tmp_path / "a.jsonl", jsonl([{"text": "x", "label": i} for i in (3, 4.0, -1, 0.5, True, " five ")])
    )
    assert read_dataset(location).labels == ["3", "4", "-1", "0.5", "True", "five"]
    frame = pandas.DataFrame({"text": ["x", "y"], "label": np.array([1, 2], dtype=np.int8)})
    assert from_frame(frame).labels == ["1", "2"]
    frame.to_parquet(tmp_path / "a.parquet")
    assert read_dataset(str(tmp_path / "a.parquet")).labels == ["1", "2"]
    assert from_frame(frame.astype({"label": "category"})).labels == ["1", "2"]


def test_columns_can_be_named_and_joined(tmp_path):
    location = write(tmp_path / "a.csv", "title,body,stars,label\nOn cats,They purr,5,x\n")
    assert read_dataset(location, text_column="title", label_column="stars") == TextDataset(
        ["On cats"], ["5"], location
    )
    joined = read_dataset(location, text_column=["title", "body"])
    assert joined.texts == ["xxfld 1 On cats xxfld 2 They purr"]
    assert list(iter_texts(location, text_column=["title", "body"])) == joined.texts
    usual = write(tmp_path / "usual.csv", "category,body,comment\nx,y,z\n")
    assert read_dataset(usual, text_column="category", require_labels=False) == TextDataset(["x"], None, usual)
    assert read_dataset(usual, label_column="comment") == TextDataset(["y"], ["z"], usual)
    frame = pandas.DataFrame({0: ["x"], 1: ["y"]})
    assert from_frame(frame, "0", "1") == TextDataset(["x"], ["y"], "the data frame")


def test_a_place_may_be_a_path(tmp_path):
    location = write(tmp_path / "a.csv", "text,label\nx,y\n")
    assert read_dataset(Path(location)) == read_dataset(location)
    assert list(iter_texts(Path(location))) == list(TextStream(Path(location))) == ["x"]


def test_labels_are_optional_where_they_are_not_required(tmp_path):
    without = write(tmp_path / "without.csv", "text\nx\n")
    assert read_dataset(without, require_labels=False).labels is None
    gaps = write(tmp_path / "gaps.csv", "text,label\nx,a\ny,\n")
    assert read_dataset(gaps, require_labels=False).labels is None
    lists = write(tmp_path / "lists.jsonl", jsonl([{"text": "x", "label": ["a", "b"]}]))
    assert read_dataset(lists, require_labels=False).labels is None
    assert read_dataset(without, require_labels=False, label_separator=";").targets is None
    plain = write(tmp_path / "plain.txt", "x\n")
    assert read_dataset(plain, require_labels=False, label_separator=";").targets is None
    whole = write(tmp_path / "whole.csv", "text,label\nx,a\ny,b\n")
    assert read_dataset(whole, require_labels=False).labels == ["a", "b"]


def test_plain_text_has_one_document_a_line(tmp_path):
    location = write(tmp_path / "a.txt", "\ufeffone\r\n\r\nthree \u2028 3\r\nfour")
    assert read_dataset(location, require_labels=False).texts == ["one", "", "three \u2028 3", "four"]


def test_empty_texts_are_kept_and_counted(tmp_path, caplog):
    location = write(tmp_path / "a.jsonl", jsonl([{"text": text, "label": "a"} for text in ("x", "", None, " ")]))
    with caplog.at_level(logging.WARNING):
        assert read_dataset(location).texts == ["x", "", "", " "]
    assert "3 of 4 texts are empty" in caplog.text
    frame = pandas.DataFrame({"text": ["x", None, float("nan"), pandas.NA, pandas.NaT]}, dtype=object)
    assert from_frame(frame).texts == ["x", "", "", "", ""]


def test_long_fields_are_read(tmp_path):
    text = "long " * 100_000
    assert read_dataset(write(tmp_path / "a.csv", f"text,label\n{text},a\n")).texts == [text]


def test_select():
    dataset = TextDataset(["x", "y", "z"], ["a", "b", "c"], "s")
    assert dataset.select(np.array([2, 0])) == TextDataset(["z", "x"], ["c", "a"], "s")
    assert TextDataset(["x", "y"], None, "s").select([1]) == TextDataset(["y"], None, "s")
    with pytest.raises(DataError, match="3 texts and 1 label;"):
        TextDataset(["x", "y", "z"], ["a"], "s")


def test_a_stream_can_be_read_twice(tmp_path):
    stream = TextStream(write(tmp_path / "a.csv", CSV))
    assert list(stream) == list(stream) == TEXTS


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "UTF-16-LE", "utf-8", "utf-8-sig", "shift_jis"])
def test_an_encoding_that_is_named(tmp_path: Path, encoding: str) -> None:
    texts = ["naïve, größte Güte", "nein"] if encoding != "shift_jis" else ["日本, 語", "いいえ"]
    table = "text,label\n" + "".join(f'"{text}",{name}\n' for text, name in zip(texts, "ab", strict=True))
    content = {
        "a.csv": table,
        "a.csv.xz": table,
        "a.jsonl": jsonl([{"text": text, "label": name} for text, name in zip(texts, "ab", strict=True)]),
        "a.txt": "\n".join(texts),
    }
    for name, written in content.items():
        location = write(tmp_path / name, written.encode(encoding))
        assert read_dataset(location, encoding=encoding, require_labels=False).texts == texts
        assert list(iter_texts(location, documents="lines", encoding=encoding)) == texts
        assert list(TextStream(location, documents="lines", encoding=encoding)) == texts
    for label, text in zip("ab", texts, strict=True):
        (tmp_path / "folder" / label).mkdir(parents=True)
        (tmp_path / "folder" / label / "1.txt").write_bytes(text.encode(encoding))
    assert read_dataset(tmp_path / "folder", encoding=encoding).texts == texts
    assert read_dataset(tmp_path / "folder", encoding=encoding).labels == ["a", "b"]


@pytest.mark.parametrize("encoding", ["klingon", "base64", ""])
def test_what_is_no_encoding_of_text(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(ConfigError, match=f"encoding is '{encoding}', which is not known; give one such as"):
        read_dataset(write(tmp_path / "a.csv", CSV), encoding=encoding)


def test_utf8_that_is_read_as_something_else_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "a.csv", "text,label\nEin schöner Film,a\n")
    assert read_dataset(path, encoding="cp1252").texts == ["Ein schÃ¶ner Film"]
    assert "looks like UTF-8, and is read as cp1252" in caplog.text
    caplog.clear()
    path = write(tmp_path / "b.csv", "text,label\nEin schöner Film,a\n".encode("cp1252"))
    assert read_dataset(path, encoding="cp1252").texts == ["Ein schöner Film"]
    assert not caplog.text


# name, content, options, what the message has to say
ERRORS = [
    ("a.csv", None, {}, "a.csv does not exist"),
    ("a.jsonl", "", {}, "a.jsonl is empty"),
    ("a.csv", "", {}, "a.csv is empty"),
    ("a.csv", "text,label\n", {}, "holds no documents"),
    ("a.jsonl", "\n \n", {}, "holds no documents"),
    ("a.csv", "\ntext,label\n", {}, "blank first row"),
    ("a.csv", b"text,label\nok,a\ncaf\xe9,b\n", {}, r"line 3 has the byte 0xe9 at column 4 \(byte 19 of the file\)"),
    ("a.csv.gz", b"text,label\nok,a\ncaf\xe9,b\n", {}, r"line 3 has the byte 0xe9 at column 4 \(byte 19"),
    ("a.csv", "text,label\n".encode("utf-16"), {"encoding": "utf-8"}, "looks like UTF-16.* encoding='utf-16'"),
    ("a.csv", b"text,label\nx\x81,a\n", {"encoding": "cp1252"}, "is not cp1252 behind line 0 .*give the encoding"),
    ("a.csv", "text,label\nx,a\n", {"encoding": "utf-16"}, "is not utf-16 behind line 0"),
    (
        "a.csv",
        "a,b\n1,2\n",
        {},
        "no column with a usual name for the text and no column .* for the label; .* there are a, b",
    ),
    ("a.csv", "text;label\n1;2;3\n", {}, "row 2 .line 2. has 3 fields and the header has 2"),
    ("a.csv", "text,b\n1,2\n", {}, "no column with a usual name for the label; .* there are text, b"),
    (
        "a.csv",
        "text,label\n1,2\n",
        {"text_column": "Text"},
        "no column 'Text' \\(did you mean 'text'\\?\\); .* there are text, label",
    ),
    ("a.csv", "text,label\n1,2\n", {"label_column": "y"}, "no column 'y'; .* there are text, label"),
    ("a.csv", "text,label\n1,2\n", {"label_column": "y", "require_labels": False}, "no column 'y'"),
    ("a.csv", "text,label\n1,2\n", {"text_column": "label"}, "no column with a usual name for the label"),
    ("a.csv", "text,label\n1,2\n", {"text_column": "label", "label_column": "label"}, "named twice"),
    ("a.csv", "text,text,label\n1,2,3\n", {}, "'text' more than once"),
    ("a.csv", "text,label\nx,a\n\ny,a,b\n", {}, r"row 4 \(line 4\) has 3 fields and the header has 2"),
    ("a.csv", 'text,label\n"x\ny",a\nz\n', {}, r"row 3 \(line 4\) has 1 fields.* give the row all of its"),
    ("a.csv", "How many miles is it to the sea?,NUM\nx,a\n", {}, "put a first line with names above it"),
    ("a.xlsx", "x", {}, "is a spreadsheet; save it as .csv"),
    ("a.json", "[]", {}, "is JSON; if each of its lines is an object with a text, name it .jsonl"),
    ("a.csv", 'text,label\nx,a\n"y,a\nz,b\n', {}, r"row 3 \(line 3\) cannot be read"),
    ("a.csv", 'text,label\n"x" y,a\n', {}, r"row 2 \(line 2\) cannot be read"),
    ("a.csv", "text,label\nx,a\ny, \n", {}, r"row 3 \(line 3\) has no label"),
    ("a.jsonl", '{"text": "x", "label": 1}\n{"text": \n', {}, "line 2, column 9 is not JSON"),
    ("a.jsonl", '[{"text": "x", "label": 1}]\n', {}, "line 1 is a list"),
    ("a.jsonl", "[" * 100_000, {}, "line 1 is nested too deeply"),
    ("a.jsonl", '{"text": "x", "label": 1}\n{"txt": "x", "label": 1}\n', {}, "line 2 has no 'text'"),
    ("a.jsonl", '{"text": "x", "label": 1}\n{"text": "x"}\n', {}, "line 2 has no label"),
    ("a.jsonl", '{"text": 3, "label": 1}\n', {}, "line 1: the text is 3, not a string"),
    ("a.jsonl", '{"text": "x", "label": "a"}\n{"text": "x", "label": ["a"]}\n', {}, r"line 2: the label is \['a'\]"),
    (
        "a.jsonl",
        '{"text": "x", "label": ["a"]}\n{"text": "x", "label": "a"}\n',
        {},
        "line 2: the label is 'a' where",
    ),
    (
        "a.jsonl",
        '{"text": "x", "label": ["a"]}\n{"text": "x", "label": [null]}\n',
        {},
        "line 2: one of the labels",
    ),
    ("a.jsonl", '{"text": "x", "label": ["a"]}\n{"text": "x", "label": null}\n', {}, "line 2 has no label"),
    ("a.csv", "text,a,b\nx,1,maybe\n", {"label_column": ["a", "b"]}, r"row 2 \(line 2\): the column 'b' holds 'maybe'"),
    ("a.csv", "text,a,b\nx,1,0\n", {"label_column": ["a", "c"]}, "no column 'c'; .* there are text, a, b"),
    ("a.csv", "text,label\nx,a\n", {"label_separator": ""}, "the label_separator is empty"),
    ("a.parquet", None, {}, "a.parquet does not exist"),
    ("a.parquet", "text,label\n", {}, "cannot be read as Parquet"),
    ("a.txt", "x\n", {}, "plain text and has no labels"),
    ("a.txt", None, {"require_labels": False}, "does not exist"),
    ("a.docx", "x\n", {}, "of no known kind"),
    ("a.docx", None, {}, "does not exist"),
]


@pytest.mark.parametrize(("name", "content", "options", "message"), ERRORS)
def test_errors_are_one_sentence_with_the_place(tmp_path, name, content, options, message):
    location = str(tmp_path / name) if content is None else write(tmp_path / name, content)
    with pytest.raises(UlmfitError, match=message) as error:
        read_dataset(location, **options)
    assert str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_cut_off_archive_is_said(tmp_path):
    for suffix, compress in ((".gz", gzip.compress), (".xz", lzma.compress)):
        path = tmp_path / f"a.csv{suffix}"
        path.write_bytes(compress(CSV.encode() * 1000)[:-40])
        with pytest.raises(DataError, match="damaged or cut off"):
            read_dataset(str(path))
        path.write_bytes(CSV.encode())
        with pytest.raises(DataError, match="damaged or cut off"):
            read_dataset(str(path))


def test_errors_of_parquet_and_data_frames(tmp_path):
    frame = pandas.DataFrame({"a": ["x"], "label": ["b"]})
    frame.to_parquet(tmp_path / "a.parquet", index=False)
    with pytest.raises(DataError, match="there are a, label"):
        read_dataset(str(tmp_path / "a.parquet"))
    with pytest.raises(DataError, match="the data frame has no column with a usual name for the text"):
        from_frame(frame)
    numbers = pandas.DataFrame({"text": [3], "label": ["b"]})
    numbers.to_parquet(tmp_path / "b.parquet", index=False)
    for read in (lambda: from_frame(numbers), lambda: read_dataset(str(tmp_path / "b.parquet"))):
        with pytest.raises(DataError, match="row 1: the text is 3, not a string"):
            read()
    gaps = pandas.DataFrame({"text": ["x", "y"], "label": ["b", None]})
    with pytest.raises(DataError, match="row 2 has no label"):
        from_frame(gaps, label_column="label")
    assert from_frame(gaps).labels is None


def test_real_files(data_dir):
    trec = read_dataset(str(data_dir / "trec6" / "train.jsonl"))
    assert len(trec) == 5452
    assert trec.texts[0] == "How did serfdom develop in and then leave Russia ?"
    assert set(trec.labels) == {"ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM"}
    books = read_dataset(str(data_dir / "cls-de-books" / "test.jsonl"))
    assert sorted(map(books.labels.count, ("neg", "pos"))) == [1000, 1000]


def test_texts_that_are_set_apart_come_last_and_make_other_data() -> None:
    learnt, valid = TextDataset(TEXTS, LABELS, "train"), TextDataset(["so so", TEXTS[0]], ["neg", "pos"], "valid")
    both = learnt.with_valid(valid)
    assert (both.texts, both.labels, both.n_valid) == ([*TEXTS, *valid.texts], [*LABELS, "neg", "pos"], 2)
    assert both.without_valid == learnt
    assert both.valid == valid  # its source too, by which a report names the places of mistakes
    assert learnt.without_valid is learnt
    together = TextDataset(both.texts, both.labels, "train")
    assert len({both.fingerprint(), together.fingerprint(), learnt.fingerprint()}) == 3
    assert both.select([0, 4]).n_valid == 0
    several = TextDataset(["a", "b"], None, "train", [("x", "y"), ()])
    assert several.with_valid(TextDataset(["c"], None, "v", [("y",)])).label_sets == [("x", "y"), (), ("y",)]


@pytest.mark.parametrize(
    ("valid", "said"),
    [
        (TextDataset([], [], "v"), "v has no texts"),
        (TextDataset(["a"], None, "v"), "v has no labels"),
        (TextDataset(["a"], None, "v", [("pos",)]), "train has one label a text, but v several"),
        (TextDataset(["a", "b"], ["pos", "mixed"], "v"), "v has the label 'mixed', which no text of train has"),
    ],
)
def test_what_cannot_measure_is_refused(valid: TextDataset, said: str) -> None:
    with pytest.raises(DataError, match=said):
        TextDataset(TEXTS, LABELS, "train").with_valid(valid)


def test_rows_that_a_spreadsheet_leaves_empty_are_skipped(tmp_path: Path) -> None:
    place = write(tmp_path / "a.csv", "text;label\n;\nfine;pos\n ; \nbad;neg\n;\n")
    assert read_dataset(place).texts == ["fine", "bad"]
    alone = write(tmp_path / "b.csv", 'text\n""\nfine\n')  # an empty text, not an empty row
    assert read_dataset(alone, require_labels=False).texts == ["", "fine"]
