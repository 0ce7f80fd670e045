"""From the shipped model, as a user has it: training, report, importance, generation, page, and export that answers
alike."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Outcome, reviews, script, write_csv

from ulmfit_jax import TextClassifier
from ulmfit_jax.pretrained import SHIPPED

Run = Callable[..., Outcome]
TEXT = "The kettle was lovely. The bus was splendid."


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head on the shipped encoder, trained and tested by the real console script."""
    folder = tmp_path_factory.mktemp("shipped")
    data = [str(write_csv(folder / f"{name}.csv", reviews(24, seed))) for name, seed in (("train", 1), ("test", 2))]
    short = ["--lm-epochs", "0", "--epochs", "1,0,0,0", "--batch-size", "8", "--validation-fraction", "0"]
    output = script("train", data[0], "--test", data[1], "--out", folder / "run", *short, "--devices", "1")
    assert output.returncode == 0, output.stderr.decode()
    return folder / "run"


def test_the_report_is_of_this_run(run: Path) -> None:
    page = (run / "report.html").read_text("utf-8")
    test = json.loads((run / "report.json").read_text("utf-8"))["test"]
    assert SHIPPED in page
    assert f"{100 * test['accuracy']:.1f}" in page


def test_importances_and_answers_are_those_of_the_model(run: Path, ulmfit: Run, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text(TEXT + "\n", "utf-8")
    model = TextClassifier.load(run, devices=1)
    answer = ulmfit("predict", run, tmp_path / "texts.txt", "--devices", "1").json
    assert answer["label"] == model.predict(TEXT)
    explained = ulmfit("explain", run, tmp_path / "texts.txt", "--json").json
    assert [entry["word"] for entry in explained["words"]] == TEXT.split()
    expected = model.explain(TEXT).importances
    assert [entry["importance"] for entry in explained["words"]] == pytest.approx(expected.tolist(), abs=1e-6)


def test_the_shipped_language_model_writes_english(ulmfit: Run) -> None:
    outcome = ulmfit("generate", SHIPPED, "--prompt", "The city", "--words", "12", "--beams", "4")
    assert outcome.code == 0, outcome.err
    words = outcome.out.lower().split()
    assert words[:2] == ["the", "city"]
    assert {"the", "of", "in", "is", "was", "and"} & set(words[2:])


def test_what_is_exported_answers_alike(run: Path, ulmfit: Run, tmp_path: Path) -> None:
    pytest.importorskip("flatbuffers", reason="flatbuffers, with which JAX writes programs, is not installed")
    outcome = ulmfit("export", run, "--to", tmp_path / "mine.stablehlo")
    assert outcome.code == 0, outcome.err
    files = outcome.out.splitlines()
    command = [sys.executable, files[-1], files[1], TEXT]
    label, _, probabilities = subprocess.run(command, capture_output=True, text=True, check=True).stdout.partition(" ")
    model = TextClassifier.load(run, devices=1)
    expected = dict(zip(model.classes_.tolist(), model.predict_proba(TEXT)[0].tolist(), strict=True))
    assert label == model.predict(TEXT)
    assert json.loads(probabilities) == pytest.approx(expected, abs=1e-5)
