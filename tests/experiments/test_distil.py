"""`experiments/distil.py` from end to end, on a tiny data set in the form of IMDb."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reviews import reviews
from ulmfit_jax import Ensemble, LanguageModel, TextClassifier
from ulmfit_jax.data import read_dataset

SCRIPT = Path(__file__).parents[2] / "experiments" / "distil.py"


def distil(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)


@pytest.fixture(scope="module")
def students(language_model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    texts, labels = reviews(60, seed=4)
    labels = [{"good": "pos", "bad": "neg"}[label] for label in labels]
    folder = tmp_path_factory.mktemp("students")
    for seed, name in enumerate(("first", "second")):
        start = LanguageModel.load(language_model, devices=1)
        student = TextClassifier(start, lm_epochs=0, epochs=(2, 0, 0, 0), seed=seed, devices=1)
        student.fit(texts, labels).save(folder / name)
    return [folder / "first", folder / "second"]


def test_each_student_learns_and_all_are_measured(data_dir: Path, students: list[Path], tmp_path: Path) -> None:
    options = ["--data-dir", data_dir, "--out", tmp_path / "run", "--students", *students, "--unlabeled", "50"]
    options += ["--train-docs", "14", "--hardware", "two abacuses", "--mantissa-bits", "3"]
    first = distil(*options)
    assert first.returncode == 0, first.stderr
    assert "second learns from 64 reviews, 50 of which the teacher has labelled" in first.stdout
    content = json.loads((tmp_path / "run" / "results.json").read_text())["results"]
    assert set(content) == {f"{name}{more}" for name in ("first", "second", "mean") for more in ("", " with n-grams")}
    test = read_dataset("tfds:imdb_reviews:test", data_dir=str(data_dir))
    each = []
    for name, before in zip(("first", "second"), students, strict=True):
        stored = TextClassifier.load(tmp_path / "run" / "models" / name)
        each.append(np.load(tmp_path / "run" / f"{name}-test.npy"))
        np.testing.assert_allclose(stored.predict_proba(test.texts), each[-1], atol=1e-6)
        assert np.abs(TextClassifier.load(before).predict_proba(test.texts) - each[-1]).max() > 1e-3
        assert content[name]["error"] == stored.evaluate(test.texts, test.labels)["error"]
        card = (tmp_path / "run" / "models" / name / "README.md").read_text("utf-8")
        assert f"test error: {content[name]['error']:.2%} of 31 reviews" in card
        assert "on two abacuses" in card
    wrong = np.mean(each, axis=0).argmax(axis=1) != (np.array(test.labels) == "pos")
    assert content["mean"]["error"] == pytest.approx(wrong.mean())
    joint = Ensemble.load(tmp_path / "run" / "models" / "mean-ngrams")
    assert content["mean with n-grams"]["error"] == joint.evaluate(test.texts, test.labels)["error"]
    answers = np.load(tmp_path / "run" / "teacher.npy")
    assert answers.shape == (50, 2)

    again = distil(*options)
    assert again.returncode == 0, again.stderr
    assert "learns from" not in again.stdout
    assert json.loads((tmp_path / "run" / "results.json").read_text())["results"] == content


def test_what_cannot_be_is_refused(data_dir: Path, students: list[Path], tmp_path: Path) -> None:
    twice = distil("--data-dir", data_dir, "--out", tmp_path / "run", "--students", students[0], students[0])
    assert (twice.returncode, twice.stderr) == (2, "distil: two of the students are called first: rename a folder\n")
    (tmp_path / "run" / "results.json").write_text(json.dumps({"options": {"seed": 1}, "results": {}}))
    other = distil("--data-dir", data_dir, "--out", tmp_path / "run", "--students", *students)
    assert (other.returncode, "was measured with {'seed': 1}" in other.stderr) == (2, True)
