"""`experiments/imdb.py` from end to end, on a tiny data set in the form of IMDb."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ulmfit_jax import Ensemble, TextClassifier
from ulmfit_jax.data import read_dataset

SCRIPT = Path(__file__).parents[2] / "experiments" / "imdb.py"


def imdb(data_dir: Path, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--data-dir", str(data_dir), "--out", str(out), *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)


def test_every_step_leaves_its_figures_and_models_and_is_done_once(data_dir, tmp_path):
    options = ["--preset", "tiny", "--train-docs", "40", "--epochs", "1", "--skip-plain", "--self-training", "30"]
    options += ["--recipe", "fine_tune", "--classifier-epochs", "1", "--cache-frozen", "--hardware", "two abacuses"]
    options += ["--mantissa-bits", "3"]
    first = imdb(data_dir, tmp_path / "run", *options)
    assert first.returncode == 0, first.stderr
    assert "40 labelled reviews, 31 to test on, 140 texts for the language model" in first.stdout
    assert "1 of the language model's texts are test reviews too" in first.stdout
    results: dict[str, Any] = json.loads((tmp_path / "run" / "report.json").read_text())["results"]
    assert list(results) == ["language_model", "fine_tuned", "self_trained"]
    for name in ("fine_tuned", "self_trained"):
        assert results[name]["test"]["n"] == 31
        assert 0 <= results[name]["baseline"]["error"] <= 1
        stored = tmp_path / "run" / "models" / f"classifier_{name}"
        card = (stored / "README.md").read_text("utf-8")
        assert f"test error: {results[name]['test']['error']:.2%} of 31 reviews" in card
        assert re.search(r"minutes of training: \d+ after the language model's, on two abacuses", card)
        test = read_dataset("tfds:imdb_reviews:test", data_dir=str(data_dir))
        kept = np.load(tmp_path / "run" / f"test_{name}.npy")
        np.testing.assert_allclose(TextClassifier.load(stored).predict_proba(test.texts), kept, atol=1e-6)
        assert results[name]["seconds"]["training"] > 0
    again = imdb(data_dir, tmp_path / "run", *options, "--resume", "--ngrams")
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("measured before") == 2
    joint = json.loads((tmp_path / "run" / "report.json").read_text())["results"]
    assert joint.keys() == results.keys() | {"fine_tuned_with_ngrams", "self_trained_with_ngrams"}
    model = Ensemble.load(tmp_path / "run" / "models" / "with_ngrams_fine_tuned")
    assert joint["fine_tuned_with_ngrams"]["test"]["error"] == model.evaluate(test.texts, test.labels)["error"]
    other = imdb(data_dir, tmp_path / "run", *options, "--resume", "--train-docs", "20")
    assert (other.returncode, "was measured with train_docs = 40: choose another --out" in other.stderr) == (2, True)


def test_both_directions_and_their_mean(data_dir, tmp_path):
    options = ["--preset", "tiny", "--train-docs", "40", "--epochs", "1", "--lm-batch-size", "8", "--skip-plain"]
    options += ["--ngrams"]
    found = imdb(data_dir, tmp_path / "run", *options, "--both-directions", "--classifier-epochs", "1", "0", "0", "1")
    assert found.returncode == 0, found.stderr
    each = [np.load(tmp_path / "run" / name / "test_fine_tuned.npy") for name in ("forward", "backward")]
    assert np.abs(each[0] - each[1]).max() > 1e-3
    model = Ensemble.load(tmp_path / "run" / "models" / "ensemble_fine_tuned")
    assert [member.artifact.backwards for member in model.members] == [False, True]
    test = read_dataset("tfds:imdb_reviews:test", data_dir=str(data_dir))
    np.testing.assert_allclose(model.predict_proba(test.texts), (each[0] + each[1]) / 2, atol=1e-5)
    results = json.loads((tmp_path / "run" / "report.json").read_text())["results"]
    for name, measured in (("fine_tuned", model), ("fine_tuned_with_ngrams", "with_ngrams_fine_tuned")):
        if isinstance(measured, str):
            measured = Ensemble.load(tmp_path / "run" / "models" / measured)
            assert (len(measured.members), measured.ngrams is None) == (2, False)
        figures = measured.evaluate(test.texts, test.labels)
        assert (results[name]["test"]["error"], results[name]["test"]["n"]) == (figures["error"], 31)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--backwards", "--pretrained", "wikipedia-small-forward"], "wikipedia-small-forward reads forwards"),
        (["--both-directions", "--pretrained", "wikipedia-small-forward"], "leave --pretrained out"),
        (["--pretrained", "nowhere"], "there is no model 'nowhere'"),
        (["--epochs", "0", "--self-training", "20"], "--self-training goes on from (c)"),
        (["--preset", "ulmfit", "--pretrained", "nowhere"], "--preset is for a model from scratch"),
    ],
)
def test_what_cannot_work_is_refused_in_a_sentence(options, sentence, tmp_path):
    result = imdb(tmp_path / "no-data", tmp_path / "run", "--train-docs", "40", *options)
    assert result.returncode == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
