"""`ulmfit predict` as a stream: order, batches, tables and lines."""

from __future__ import annotations

import csv
import io
import itertools
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import Outcome, Trained, tree, write_csv

from ulmfit_jax import ensemble
from ulmfit_jax.cli import kept_columns, predict

Run = Callable[..., Outcome]


class LengthClassifier:
    """Says whether a text is long, and remembers how many texts it was given at a time."""

    class_names = ("long", "short")
    multi_label = False

    def __init__(self) -> None:
        self.batches: list[int] = []

    def predict_proba(self, texts: list[str]) -> np.ndarray:
        self.batches.append(len(texts))
        long = np.array([min(len(text), 10) / 10 for text in texts], np.float32)
        return np.stack([long, 1 - long], axis=1)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> LengthClassifier:
    classifier = LengthClassifier()
    monkeypatch.setattr(ensemble, "load_classifier", lambda folder, devices=None, precision=None: classifier)
    monkeypatch.setattr(kept_columns, "kept_columns", lambda model: {})  # there is no folder
    return classifier


def give(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="ascii"))


def test_answers_in_bfloat16_are_near_those_in_float32(trained: Trained, ulmfit: Run) -> None:
    text = "a lovely film with a wonderful end"
    narrow = ulmfit("predict", trained.out, "--text", text, "--precision", "bfloat16").json
    wide = ulmfit("predict", trained.out, "--text", text).json
    assert narrow != wide
    assert narrow["probabilities"] == pytest.approx(wide["probabilities"], abs=0.02)
    assert ulmfit("evaluate", trained.out, trained.test, "--json", "--precision", "bfloat16").json["n"] == 20


def test_evaluate_shows_each_class(trained: Trained, ulmfit: Run) -> None:
    shown = ulmfit("evaluate", trained.out, trained.test).out.splitlines()
    figures = ulmfit("evaluate", trained.out, trained.test, "--json").json
    assert shown[1] == f"macro F1 {figures['macro_f1']:.2%}"
    assert shown[3].split() == ["label", "precision", "recall", "F1", "texts"]
    assert [line.split()[0] for line in shown[4:]] == ["bad", "good"]
    assert [line.split()[-1] for line in shown[4:]] == ["10", "10"]
    assert f"{figures['classes']['good']['f1']:.2%}" in shown[5]


def test_the_encoding_of_lines_and_of_standard_input(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ulmfit: Run
) -> None:
    content = "Ein schöner Film\nno\n".encode("cp1252")
    (tmp_path / "a.txt").write_bytes(content)
    (tmp_path / "a.csv").write_bytes(b"text\n" + content)
    printed = [ulmfit("predict", trained.out, tmp_path / name, "--encoding", "cp1252") for name in ("a.txt", "a.csv")]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    printed.append(ulmfit("predict", trained.out, "--encoding", "cp1252"))
    assert [outcome.code for outcome in printed] == [0, 0, 0], printed[-1].err
    assert len({outcome.out for outcome in printed}) == 1
    assert json.loads(printed[0].out.splitlines()[0])["text"] == "Ein schöner Film"
    refused = ulmfit("predict", trained.out, tmp_path / "a.txt", "--encoding", "klingon")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("ulmfit: encoding is 'klingon', which is not known")


def test_answers_come_in_order_and_in_batches(
    model: LengthClassifier, monkeypatch: pytest.MonkeyPatch, ulmfit: Run
) -> None:
    texts = [f"text {number}" * (number % 3) for number in range(1200)]
    give(monkeypatch, "\n".join(texts).encode())
    outcome = ulmfit("predict", "model")
    answers = [json.loads(line) for line in outcome.out.splitlines()]
    assert outcome.err == f"{texts[: len(answers)].count('')} texts are empty: their answers say nothing of them\n"
    # The last of the texts is empty: without a line break after it there is no line.
    assert [answer["text"] for answer in answers] == texts[: len(answers)]
    assert len(answers) >= 1199
    assert max(model.batches) == 512
    assert answers[2] == {"text": texts[2], "label": "long", "probabilities": {"long": 1.0, "short": 0.0}}
    give(monkeypatch, "\n".join(texts).encode())
    assert ulmfit("predict", "model", "-").out == outcome.out


def test_numbers_have_the_digits_of_32_bits(
    model: LengthClassifier, monkeypatch: pytest.MonkeyPatch, ulmfit: Run
) -> None:
    answer = np.array([[0.05481968, 0.94518032]], np.float32)
    monkeypatch.setattr(model, "predict_proba", lambda texts: answer)
    give(monkeypatch, b"a text\n")
    out = ulmfit("predict", "model").out
    assert '"long": 0.05481968, "short": 0.9451803' in out


def test_reading_keeps_pace_with_answering(model: LengthClassifier, monkeypatch: pytest.MonkeyPatch) -> None:
    read = itertools.count()

    def endless() -> Iterator[predict.Row]:
        while True:
            next(read)
            yield "x" * 1_000_000, {}

    batches = predict._batches(endless())
    assert len(next(batches)) == 4
    assert next(read) == 4


def test_lines_before_broken_utf8_are_answered(
    model: LengthClassifier, monkeypatch: pytest.MonkeyPatch, ulmfit: Run
) -> None:
    give(monkeypatch, b"one\ntwo\n\xff\nfour\n")
    outcome = ulmfit("predict", "model")
    assert outcome.code == 2
    assert [json.loads(line)["text"] for line in outcome.out.splitlines()] == ["one", "two"]
    assert outcome.err.startswith("ulmfit: standard input is not UTF-8: line 3 has the byte 0xff at column 1 (byte 8")


def test_no_input_gives_no_output(model: LengthClassifier, monkeypatch: pytest.MonkeyPatch, ulmfit: Run) -> None:
    give(monkeypatch, b"")
    assert ulmfit("predict", "model") == Outcome(0, "", "")


@pytest.mark.parametrize(
    ("first", "is_remarked_on"),
    [
        ("nr,text", True),
        ('"review"\t"nr"', True),
        ('{"text": "fine"}', True),
        ("text", False),
        ("A text, and a review", False),
    ],
)
def test_a_table_on_standard_input_is_remarked_on(
    first: str, is_remarked_on: bool, model: LengthClassifier, monkeypatch: pytest.MonkeyPatch, ulmfit: Run
) -> None:
    give(monkeypatch, f"{first}\n1,fine\n".encode())
    outcome = ulmfit("predict", "model")
    assert [json.loads(line)["text"] for line in outcome.out.splitlines()] == [first, "1,fine"]
    assert ("standard input is read as lines" in outcome.err) == is_remarked_on


def test_the_columns_of_the_model_are_known_on_standard_input(
    model: LengthClassifier, monkeypatch: pytest.MonkeyPatch, ulmfit: Run
) -> None:
    monkeypatch.setattr(kept_columns, "kept_columns", lambda model: {"text_column": ["question"]})
    for first, is_remarked_on in (("kind;question", True), ("question", True), ("nr,Text", True), ("nr,kind", False)):
        give(monkeypatch, f"{first}\n".encode())
        assert ("looks like that of a table" in ulmfit("predict", "model").err) == is_remarked_on
    for words, said in (([], "standard input is read as lines: give"), (["--text", "fine"], "leave it out")):
        refused = ulmfit("predict", "model", "--text-column", "question", *words)
        assert (refused.code, said in refused.err) == (2, True)


def test_a_text_in_the_place_of_a_file_is_answered_with_how_to_give_it(model: LengthClassifier, ulmfit: Run) -> None:
    outcome = ulmfit("predict", "model", "Isn't it lovely?")
    assert outcome.code == 2
    assert """ulmfit predict model --text 'Isn'"'"'t it lovely?'""" in outcome.err


def test_texts_on_the_command_line(model: LengthClassifier, ulmfit: Run) -> None:
    lines = ulmfit("predict", "model", "--text", "no", "--text", "a longer text").out.splitlines()
    assert [(row["text"], row["label"]) for row in map(json.loads, lines)] == [
        ("no", "short"),
        ("a longer text", "long"),
    ]
    refused = ulmfit("predict", "model", "texts.txt", "--text", "no")
    assert (refused.code, refused.out) == (2, "")
    assert "not both" in refused.err


def test_a_table_of_answers_can_be_read_as_one(model: LengthClassifier, tmp_path: Path, ulmfit: Run) -> None:
    texts = ["two\nlines", 'a "quoted", one', "", "schön", "a\rb"]
    table = write_csv(tmp_path / "t.csv", [(text,) for text in texts], header=("text",))
    rows = list(csv.reader(io.StringIO(ulmfit("predict", "model", table, "--csv").out, newline="")))
    assert ulmfit("predict", "model", "--csv", table).out == ulmfit("predict", "model", table, "--csv").out
    assert ulmfit("predict", "model", "--json", table).out == ulmfit("predict", "model", table).out
    assert "not allowed with argument" in ulmfit("predict", "model", table, "--csv", "--json").err
    assert rows[0] == ["text", "label", "long", "short"]
    assert [row[0] for row in rows[1:]] == texts
    assert [row[1] for row in rows[1:]] == ["long", "long", "short", "long", "short"]
    np.testing.assert_allclose([float(row[2]) for row in rows[1:]], [0.9, 1, 0, 0.5, 0.3], atol=1e-6)


def test_columns_go_along(model: LengthClassifier, tmp_path: Path, ulmfit: Run) -> None:
    rows = [("7", "a longer text", "x,y"), ("", "no", 'a "word"')]
    table = write_csv(tmp_path / "t.csv", rows, header=("id", "text", "the note"))
    given = ("predict", "model", table, "--keep", "the note", "--keep", "id")
    shown = list(csv.reader(io.StringIO(ulmfit(*given, "--csv").out)))
    assert shown[0] == ["the note", "id", "text", "label", "long", "short"]
    assert [row[:4] for row in shown[1:]] == [["x,y", "7", "a longer text", "long"], ['a "word"', "", "no", "short"]]
    answers = [json.loads(line) for line in ulmfit(*given).out.splitlines()]
    assert [list(answer) for answer in answers] == [["the note", "id", "text", "label", "probabilities"]] * 2
    assert answers[0]["the note"] == "x,y"


def test_values_of_any_kind_go_along(model: LengthClassifier, tmp_path: Path, ulmfit: Run) -> None:
    lines = ['{"text": "no", "id": 7, "tags": ["é", 1], "more": {"a": null}, "ok": true}', '{"text": "a longer text"}']
    (tmp_path / "t.jsonl").write_text("\n".join(lines), "utf-8")
    given = ["predict", "model", tmp_path / "t.jsonl"]
    given += [part for name in ("id", "tags", "more", "ok") for part in ("--keep", name)]
    first, second = (json.loads(line) for line in ulmfit(*given).out.splitlines())
    assert [first[name] for name in ("id", "tags", "more", "ok")] == [7, ["é", 1], {"a": None}, True]
    assert [second[name] for name in ("id", "tags", "more", "ok")] == [None] * 4
    shown = list(csv.reader(io.StringIO(ulmfit(*given, "--csv").out)))
    assert [row[:4] for row in shown[1:]] == [["7", '["é", 1]', '{"a": null}', "true"], [""] * 4]


def test_what_cannot_go_along(model: LengthClassifier, tmp_path: Path, ulmfit: Run) -> None:
    table = write_csv(tmp_path / "t.csv", [("7", "no", "x")], header=("ident", "text", "label"))
    (tmp_path / "t.txt").write_text("no\n", "utf-8")

    def refusal(*given: str | Path) -> str:
        outcome = ulmfit("predict", "model", *given)
        assert (outcome.code, outcome.out) == (2, "")
        return outcome.err

    assert "--keep label: the answers have a column of that name" in refusal(table, "--keep", "label")
    assert "'idnet' (did you mean 'ident'?) to go along; there are ident, text, label." in refusal(
        table, "--csv", "--keep", "idnet"
    )
    assert "--keep long: the answers have a column" in refusal(table, "--csv", "--keep", "long")
    assert "--keep probabilities: the answers have" in refusal(table, "--keep", "probabilities")
    assert "names a column twice" in refusal(table, "--keep", "ident", "--keep", "ident")
    assert "give a table as FILE" in refusal("--text", "no", "--keep", "ident")
    assert "t.txt has no columns" in refusal(tmp_path / "t.txt", "--keep", "ident")


def test_a_table_of_answers_with_several_labels(
    model: LengthClassifier, monkeypatch: pytest.MonkeyPatch, ulmfit: Run
) -> None:
    monkeypatch.setattr(model, "multi_label", True, raising=False)
    give(monkeypatch, b"long enough, this\n")
    rows = list(csv.reader(io.StringIO(ulmfit("predict", "model", "--csv").out)))
    assert rows == [["text", "labels", "long", "short"], ["long enough, this", "long", "1.0", "0.0"]]


def test_line_breaks_inside_a_table_stay(model: LengthClassifier, tmp_path: Path, ulmfit: Run) -> None:
    table = write_csv(tmp_path / "t.csv", [("a", "two\nlines"), ("b", "")], header=("id", "body"))
    lines = ulmfit("predict", "model", table).out.splitlines()
    assert [json.loads(line)["text"] for line in lines] == ["two\nlines", ""]


def test_json_survives_a_console_without_unicode(
    model: LengthClassifier, monkeypatch: pytest.MonkeyPatch, ulmfit: Run
) -> None:
    give(monkeypatch, "naïve ☃\n".encode())
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    ulmfit("predict", "model")
    assert json.loads(raw.getvalue())["text"] == "naïve ☃"


def test_an_ensemble_is_made_measured_and_asked(trained: Trained, tmp_path: Path, ulmfit: Run) -> None:
    shutil.copytree(trained.out / "model", tmp_path / "other")
    made = ulmfit("ensemble", trained.out, tmp_path / "other", "--out", tmp_path / "both")
    assert (made.code, made.out) == (0, f"{tmp_path / 'both'}: an ensemble of 2 classifiers\n")
    figures = ulmfit("evaluate", tmp_path / "both", trained.test, "--json").json
    assert figures["accuracy"] == ulmfit("evaluate", trained.out, trained.test, "--json").json["accuracy"]
    (tmp_path / "texts.txt").write_text("The film was lovely.\n", "utf-8")
    answers = [ulmfit("predict", place, tmp_path / "texts.txt").json for place in (tmp_path / "both", trained.out)]
    assert answers[0]["label"] == answers[1]["label"]
    assert answers[0]["probabilities"] == pytest.approx(answers[1]["probabilities"], abs=1e-6)
    for place in (tmp_path / "both", tmp_path / "other"):  # another model, and one of those to join
        before = tree(place)
        refused = ulmfit("ensemble", trained.out, tmp_path / "other", "--out", place)
        assert (refused.code, f"{place} exists already: choose another folder" in refused.err) == (2, True)
        assert tree(place) == before
