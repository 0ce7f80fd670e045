"""Columns that a model was trained with are read in other files without being named again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Outcome, reviews, write_csv

from ulmfit_jax.cli.kept_columns import kept_columns

Run = Callable[..., Outcome]
HEADER = ("text", "letter", "topics")  # a column with a usual name that is not the one meant


def rows(count: int, seed: int) -> list[tuple[str, str, str]]:
    labels = {"good": "praise;money", "bad": "money"}
    return [("nothing", text, labels[label]) for text, label in reviews(count, seed)]


@pytest.fixture(scope="module")
def run_folder(language_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from ulmfit_jax.cli.main import main

    folder = tmp_path_factory.mktemp("columns")
    data = write_csv(folder / "train.csv", rows(40, 1), HEADER)
    command = ["train", data, "--out", folder / "run", "--pretrained", language_model, "--lm-epochs", "1"]
    command += ["--epochs", "1,0,0,0", "--devices", "1", "--text-column", "letter", "--label-column", "topics"]
    assert main([*map(str, command), "--label-separator", ";"]) == 0
    return folder / "run"


def test_the_columns_of_the_run_are_the_default(run_folder: Path, tmp_path: Path, ulmfit: Run) -> None:
    test = write_csv(tmp_path / "test.csv", rows(10, 2), HEADER)
    copied = Path(shutil.copytree(run_folder / "model", tmp_path / "elsewhere"))  # the model alone
    for model in (run_folder, copied):
        outcome = ulmfit("evaluate", model, test, "--json")
        assert (outcome.code, outcome.json["n"]) == (0, 10), outcome.err
        answers = [json.loads(line)["text"] for line in ulmfit("predict", model, test).out.splitlines()]
        assert answers == [text for _, text, _ in rows(10, 2)]
    language_model = run_folder / "language_model"
    by_default = ulmfit("perplexity", language_model, test, "--json").json["perplexity"]
    named = ulmfit("perplexity", language_model, test, "--json", "--text-column", "letter").json["perplexity"]
    assert by_default == named


def test_the_command_line_and_files_without_such_columns_count(run_folder: Path, tmp_path: Path, ulmfit: Run) -> None:
    test = write_csv(tmp_path / "test.csv", rows(4, 2), HEADER)
    said = ulmfit("predict", run_folder, test, "--text-column", "text").out.splitlines()
    assert {json.loads(line)["text"] for line in said} == {"nothing"}
    usual = write_csv(tmp_path / "usual.csv", [(text, topics) for _, text, topics in rows(4, 2)])
    assert ulmfit("evaluate", run_folder, usual, "--json").json["n"] == 4


def test_nothing_is_believed_that_is_no_name_of_a_column(run_folder: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(run_folder / "model", tmp_path / "model"))
    config = json.loads((copied / "config.json").read_text("utf-8"))
    assert kept_columns(str(copied)) == config["provenance"]["reading"]
    for strange in ([], "letter", {"text_column": "letter"}, {"text_column": [1]}, {"label_separator": 7}):
        config["provenance"]["reading"] = strange
        (copied / "config.json").write_text(json.dumps(config), "utf-8")
        assert kept_columns(str(copied)) == {}


def test_help_says_so(ulmfit: Run) -> None:
    for command in ("evaluate", "calibrate", "predict", "explain", "perplexity"):
        assert "those count that the model was trained with" in " ".join(ulmfit(command, "--help").out.split())


def test_labels_with_semicolons_are_remarked_upon(run_folder: Path, ulmfit: Run) -> None:
    data = run_folder.parent / "train.csv"
    said = "20 texts have labels with ';', taken as it stands for one class: if several"
    command = ["show", data, "--text-column", "letter", "--label-column", "topics"]
    assert said in ulmfit(*command).err
    assert said not in ulmfit(*command, "--label-separator", ";").err


def test_generation_names_the_language_model_beside_a_classifier(run_folder: Path, ulmfit: Run) -> None:
    outcome = ulmfit("generate", run_folder)
    assert outcome.code == 2
    assert f"is needed here: give {run_folder / 'language_model'}" in outcome.err
    assert ulmfit("generate", run_folder / "language_model", "--words", "2").code == 0
