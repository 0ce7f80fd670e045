"""`ulmfit` with several labels a text: trained from a table, tested, evaluated, asked, reported."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import SMALL, Outcome

from labelled_sets import WORDS, several
from ulmfit_jax.cli.labelled_texts import remark_on_few_texts
from ulmfit_jax.data import TextDataset

Run = Callable[..., Outcome]


def write(path: Path, count: int, seed: int, columns: bool = False) -> Path:
    texts, labels = several(count, seed)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", *WORDS] if columns else ["text", "topics"])
        for text, names in zip(texts, labels, strict=True):
            writer.writerow([text, *([int(name in names) for name in WORDS] if columns else ["; ".join(names)])])
    return path


def reading(columns: bool) -> list[str]:
    if columns:
        return [part for name in WORDS for part in ("--label-column", name)]
    return ["--label-column", "topics", "--label-separator", ";"]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from ulmfit_jax.cli.main import main

    folder = tmp_path_factory.mktemp("several")
    train, test = write(folder / "train.csv", 60, 1), write(folder / "test.csv", 24, 2)
    arguments = ["train", str(train), "--test", str(test), "--out", str(folder / "run"), *SMALL, *reading(False)]
    assert main([*arguments, "--devices", "1", "--lm-epochs", "0", "--lr-find"]) == 0
    return folder


def test_the_report_has_the_figures_of_the_labels(run_folder: Path) -> None:
    report = json.loads((run_folder / "run" / "report.json").read_text("utf-8"))
    assert report["classes"] == ["food", "money", "travel"]
    assert {"micro_f1", "macro_f1", "label_accuracy", "classes", "accuracy"} <= report["test"].keys()
    assert report["baseline"]["micro_f1"] > 0.8  # words decide
    assert "micro_f1" in report["validation"]
    assert len(report["learning_rates"]["rates"]) == len(report["learning_rates"]["losses"]) > 10
    page = (run_folder / "run" / "report.html").read_text("utf-8")
    for part in (
        "Micro F1",
        "TF-IDF",
        "All labels right",
        "nats per label of a text",
        "Always “",
        "Learning-rate finder",
    ):
        assert part in page
    assert 'id="confusion"' not in page
    toml = (run_folder / "run" / "ulmfit.toml").read_text("utf-8")
    assert 'label-separator = ";"' in toml


def test_giving_the_command_again_prints_the_results(run_folder: Path, ulmfit: Run) -> None:
    again = ulmfit("train", "--config", run_folder / "run" / "ulmfit.toml", "--out", run_folder / "run")
    assert again.code == 0, again.err
    assert "micro F1" in again.out


def test_evaluate_shows_each_label_from_either_kind_of_table(run_folder: Path, ulmfit: Run) -> None:
    figures = []
    for columns in (False, True):
        test = write(run_folder / f"more-{columns}.csv", 24, 5, columns)
        arguments = ["evaluate", run_folder / "run", test, *reading(columns), "--devices", "1"]
        shown = ulmfit(*arguments)
        assert "macro F1" in shown.out
        assert "precision" in shown.out
        assert "travel" in shown.out
        figures.append({**ulmfit(*arguments, "--json").json, "data": None})
    assert figures[0] == figures[1]


def test_predict_lists_labels(run_folder: Path, ulmfit: Run, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("day soup soup\nday day\n", "utf-8")
    lines = [
        json.loads(line) for line in ulmfit("predict", run_folder / "run", tmp_path / "texts.txt").out.splitlines()
    ]
    for line in lines:
        assert line["labels"] == [name for name, p in line["probabilities"].items() if p > 0.5]
        assert "label" not in line


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--label-column", "food"], "there are text, topics"),
        (["--label-column", "topics", "--label-separator", ","], "which the model does not know"),
    ],
)
def test_labels_of_another_kind_end_in_a_sentence(
    run_folder: Path, ulmfit: Run, options: list[str], sentence: str
) -> None:
    plain = run_folder / "plain.csv"
    plain.write_text("text,topics\nsoup,food\ncoin and train,money;travel\n", "utf-8")
    outcome = ulmfit("evaluate", run_folder / "run", plain, *options)
    assert outcome.code == 2
    assert sentence in outcome.err
    assert "label_separator" not in outcome.err  # people at a console are told of options


def test_the_separator_of_the_training_counts(run_folder: Path, ulmfit: Run) -> None:
    plain = run_folder / "separated.csv"
    plain.write_text("text,topics\nsoup,food\ncoin and train,money;travel\n", "utf-8")
    outcome = ulmfit("evaluate", run_folder / "run", plain, "--label-column", "topics", "--json")
    assert (outcome.code, outcome.json["classes"]["travel"]["n"]) == (0, 1), outcome.err


@pytest.mark.slow
@pytest.mark.usefixtures("quick_plans")
def test_show_and_dry_run_take_them(run_folder: Path, ulmfit: Run) -> None:
    shown = ulmfit("show", run_folder / "train.csv", *reading(False), "--model", run_folder / "run")
    assert "3 classes, several a text or none: food" in shown.out
    plan = ulmfit("train", run_folder / "train.csv", "--out", run_folder / "no", *SMALL, *reading(False), "--dry-run")
    assert plan.code == 0, plan.err
    assert "3 classes" in plan.out


def test_as_many_labels_as_texts_are_no_column_of_numbers_where_a_text_may_have_several(
    capsys: pytest.CaptureFixture[str],
) -> None:
    texts, names = [f"text {n}" for n in range(10)], [f"label {n}" for n in range(10)]
    remark_on_few_texts(TextDataset(texts, names, "made up"))
    assert capsys.readouterr().err == "each text has a label of its own: is that the column of the labels?\n"
    remark_on_few_texts(TextDataset(texts, None, "made up", [tuple(names[n:]) for n in range(10)]))
    assert "9 of 10 labels have fewer than 10 texts" in capsys.readouterr().err
