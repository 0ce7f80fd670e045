"""Results as JSON, as text, and `ulmfit show`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import Outcome, reviews, write_csv

from ulmfit_jax.cli.console import plain
from ulmfit_jax.cli.results import as_text, measures

Run = Callable[..., Outcome]

LM = {"valid_loss": 2.0, "accuracy": 0.3, "perplexity": 7.4}
HISTORY = [
    {"stage": "lm", "seconds": 1.5, **LM},
    {"stage": "lm", "seconds": 2.0, **LM, "perplexity": 7.0},
    {"stage": "head", "seconds": 1.0, "valid_loss": 0.5, "error_rate": 0.25},
]


def test_numpy_values_and_infinities_become_json() -> None:
    value = {1: np.float32(0.5), "n": np.int64(3), "a": np.array(["x"]), "t": (np.bool_(True), np.inf, float("nan"))}
    assert json.dumps(plain(value), allow_nan=False) == '{"1": 0.5, "n": 3, "a": ["x"], "t": [true, null, null]}'


def test_last_epochs_count_and_seconds_add_up() -> None:
    assert measures(HISTORY) == {
        "language_model": {"perplexity": 7.0, "accuracy": 0.3, "loss": 2.0},
        "validation": {"accuracy": 0.75, "error": 0.25, "loss": 0.5},
        "seconds": {"lm": 3.5, "head": 1.0},
    }


def test_the_epoch_that_was_kept_counts() -> None:
    kept = {"best_epoch": {"valid_loss": 0.4, "error_rate": 0.125}}
    assert measures(HISTORY, kept)["validation"] == {"accuracy": 0.875, "error": 0.125, "loss": 0.4}
    assert measures(HISTORY, {"last_epoch": {"valid_loss": 9.0, "error_rate": 1.0}}) == measures(HISTORY)


def test_nothing_is_claimed_that_was_not_measured() -> None:
    assert measures([{"stage": "head", "seconds": 1.0}]) == {"seconds": {"head": 1.0}}


def test_report_for_a_person() -> None:
    report = {
        **measures(HISTORY),
        "model": "run/model",
        "page": "run/report.html",
        "test": {"accuracy": 0.9, "error": 0.1, "n": 2500, "also_in_training": 0},
        "baseline": {"accuracy": None, "error": None, "name": "TF-IDF: none"},
    }
    assert as_text(report).splitlines() == [
        "test            accuracy  90.00%   error  10.00%   2,500 texts",
        "baseline        TF-IDF: none",
        "validation      accuracy  75.00%   error  25.00%   texts held out of training",
        "language model  perplexity 7.0 per token of its own, on held-out texts",
        "time            lm 4 s, head 1 s",
        "model           run/model",
        "report          run/report.html",
    ]


def test_show_with_the_tokeniser_of_a_model(language_model: Path, tmp_path: Path, ulmfit: Run) -> None:
    data = write_csv(tmp_path / "reviews.csv", reviews(20, 4))
    outcome = ulmfit("show", data, "--model", language_model, "--rows", "2")
    assert (outcome.code, outcome.err) == (0, "")
    assert "20 texts, 2 classes: bad (10), good (10)" in outcome.out
    assert outcome.out.count("xxbos xxmaj ▁") >= 3
    assert "text_" in outcome.out


def test_show_without_a_model_learns_pieces_from_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ulmfit: Run
) -> None:
    monkeypatch.setattr("ulmfit_jax.pretrained.shipped_models", dict)
    (tmp_path / "notes.txt").write_text("a word\nanother word\n")
    outcome = ulmfit("show", tmp_path / "notes.txt")
    assert outcome.code == 0
    assert "wikipedia-small-forward is not in this installation" in outcome.err
    assert "2 texts, without labels" in outcome.out
