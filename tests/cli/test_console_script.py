"""The installed script, start to end: train, evaluate, predict, and the same training command again."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from command_line import Trained, finished, script

import ulmfit_jax


def test_training_prints_the_results_as_the_last_line(trained: Trained) -> None:
    result = trained.json
    assert result["test"]["n"] == 20
    assert result["test"]["accuracy"] + result["test"]["error"] == pytest.approx(1)
    assert result["baseline"]["accuracy"] == 1.0
    assert result["validation"].keys() == {"accuracy", "error", "loss"}
    assert set(result["seconds"]) == {"pretrain", "head", "test", "baseline"}
    assert result["seed"] == 0
    assert result["documents"] == {"labelled": 60, "validation": 6, "unlabelled": 0}


def test_training_shows_tables_on_standard_error_and_nothing_else(trained: Trained) -> None:
    said = trained.output.stderr.decode().splitlines()
    lines = [line for line in said if line and " steps, loss " not in line]  # said where an epoch takes over a minute
    assert [line.split(":")[0].split()[0] for line in lines] == ["pretrain", "epoch", "0", "head", "epoch", "0"]
    assert len(trained.output.stdout.splitlines()) == 1


def test_run_folder_holds_what_its_description_says(trained: Trained) -> None:
    assert {path.name for path in trained.out.iterdir()} == {
        "config.json",
        "ulmfit.toml",
        "language_model",
        "classifier",
        "tokens",
        "model",
        "report.html",
        "report.json",
    }
    assert json.loads((trained.out / "config.json").read_text())["options"]["preset"] == "tiny"


def test_the_same_command_again_prints_the_same_results_at_once(trained: Trained) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.out.rglob("*")}
    again = script(*trained.arguments)
    assert (again.returncode, again.stderr.decode()) == (0, finished(trained.out))
    assert json.loads(again.stdout) == trained.json
    assert {path: path.stat().st_mtime_ns for path in trained.out.rglob("*")} == before


def test_evaluate_repeats_the_test_figures(trained: Trained) -> None:
    result = script("evaluate", trained.out, trained.test, "--json")
    assert (result.returncode, result.stderr) == (0, b"")
    figures = json.loads(result.stdout)
    assert figures["accuracy"] == trained.json["test"]["accuracy"]
    assert figures["loss"] == pytest.approx(trained.json["test"]["loss"], rel=1e-6)


def test_predict_answers_standard_input_line_by_line(trained: Trained) -> None:
    lines = ["A lovely film.", "", "Ein schöner Film ☃", "an awful book\r"]
    result = script("predict", trained.out, stdin="\n".join(lines).encode())
    assert (result.returncode, result.stderr) == (0, b"1 text is empty: its answer says nothing of it\n")
    answers = [json.loads(line) for line in result.stdout.decode().splitlines()]
    assert [answer["text"] for answer in answers] == [line.removesuffix("\r") for line in lines]
    for answer in answers:
        assert set(answer["probabilities"]) == {"good", "bad"}
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-6)
        assert answer["label"] == max(answer["probabilities"], key=answer["probabilities"].get)


def test_a_closed_pipe_is_silent(trained: Trained) -> None:
    command = [str(sys.executable), "-c", "import sys; from ulmfit_jax.cli.main import main; sys.exit(main())"]
    process = subprocess.Popen(
        [*command, "predict", str(trained.out)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(b"a text\n" * 2000, timeout=120)
    assert (process.returncode, errors) == (141, b"")


def test_help_needs_no_jax() -> None:
    code = "import sys, ulmfit_jax.cli.main; sys.exit(not sys.modules.keys().isdisjoint({'jax', 'numpy', 'sklearn'}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert b"ulmfit train reviews.csv" in script("--help").stdout


def test_version() -> None:
    assert script("--version").stdout.decode().strip() == f"ulmfit {ulmfit_jax.__version__}"
