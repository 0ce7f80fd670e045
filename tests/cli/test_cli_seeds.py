"""`ulmfit train --seeds`: each run is the run of its seed alone, and the report is their mean and spread."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Outcome, Trained, reviews, tree, write_csv

from ulmfit_jax.cli.seeds import over_seeds, seeds_as_text

Run = Callable[..., Outcome]


def report(seed: int, error: float) -> dict[str, object]:
    figures = {"accuracy": 1 - error, "error": error}
    return {
        "seed": seed,
        "model": f"run/seed-{seed}/model",
        "validation": {**figures, "loss": 0.3},
        "test": {**figures, "n": 40},
        "baseline": {"error": 0.25, "name": "words"},
        "seconds": {"head": 1.0},
    }


def test_mean_and_sample_standard_deviation() -> None:
    errors = [0.10, 0.16, 0.13]
    summary = over_seeds([report(seed, error) for seed, error in enumerate(errors)])
    assert summary["seeds"] == [0, 1, 2]
    assert summary["test"]["n"] == 40
    assert summary["test"]["error"] == pytest.approx(0.13)
    assert summary["test"]["accuracy"] == pytest.approx(0.87)
    assert summary["test"]["error_sd"] == pytest.approx(statistics.stdev(errors))
    assert (summary["test"]["error_min"], summary["test"]["error_max"]) == (0.10, 0.16)
    assert summary["seconds"] == {"head": 3.0}
    lines = seeds_as_text(summary).splitlines()
    assert lines[0].split() == ["error", "validation", "test"]
    assert lines[1].split() == ["seed", "0", "10.00%", "10.00%"]
    assert lines[4].split() == ["mean", "13.00%", "13.00%"]
    assert lines[5].split() == ["standard", "deviation", "3.00%", "3.00%"]
    assert lines[8].split() == ["baseline", "25.00%", "words"]
    assert "training texts" not in "".join(lines)
    summary["test"]["also_in_training"] = 1
    assert "1 of the test texts is also among the training texts" in seeds_as_text(summary).splitlines()


@pytest.mark.slow
def test_each_seed_is_the_run_of_that_seed(trained: Trained, language_model: Path, tmp_path: Path, ulmfit: Run) -> None:
    labelled = write_csv(tmp_path / "train.csv", reviews(40, 6))
    command = ["train", labelled, "--pretrained", language_model, "--lm-epochs", "0", "--epochs", "1,0,0,0"]
    command += ["--devices", "1", "--test", trained.test, "--json"]
    together = ulmfit(*command, "--out", tmp_path / "both", "--seed", "3", "--seeds", "2")
    assert together.code == 0
    alone = ulmfit(*command, "--out", tmp_path / "alone", "--seed", "4").json
    assert together.json["seeds"] == [3, 4]
    assert together.json["runs"][1]["test"] == alone["test"]
    assert together.json["runs"][1]["validation"] == alone["validation"]
    assert json.loads((tmp_path / "both" / "report.json").read_text("utf-8"))["test"] == together.json["test"]
    assert ulmfit("predict", tmp_path / "both" / "seed-4", labelled).code == 0

    before = tree(tmp_path / "both")
    again = ulmfit(*command, "--out", tmp_path / "both", "--seed", "3", "--seeds", "2")
    assert again.json["test"] == together.json["test"]
    assert tree(tmp_path / "both") == before
    refused = ulmfit(*command, "--out", tmp_path / "both", "--seed", "3")
    assert refused.code == 2
    assert "holds a run of ulmfit train --seeds" in refused.err
    assert tree(tmp_path / "both") == before


def test_a_refused_start_leaves_nothing(trained: Trained, tmp_path: Path, ulmfit: Run) -> None:
    command = ["train", trained.train, "--pretrained", "none", "--preset", "tiny", "--batch-size", "1", "--seeds", "2"]
    outcome = ulmfit(*command, "--out", tmp_path / "run")
    assert outcome.code == 2
    assert not (tmp_path / "run").exists()
