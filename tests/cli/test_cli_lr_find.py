"""`ulmfit lr-find`: both stages, the plot, and each wrong turn."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Outcome, Trained, reviews, write_csv

from ulmfit_jax.cli import lr_find
from ulmfit_jax.cli.plot import rate_plot

Run = Callable[..., Outcome]

QUICK = ["--steps", "30", "--devices", "1"]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["lm", "classifier"])
def test_the_readings_of_a_curve(
    stage: str, language_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ulmfit: Run
) -> None:
    data = write_csv(tmp_path / "reviews.csv", reviews(60, 1))
    command = ["lr-find", data, "--stage", stage, "--pretrained", language_model, "--end", "1", *QUICK]
    curves: list[Any] = []
    find = lr_find._curve
    monkeypatch.setattr(lr_find, "_curve", lambda *given: curves.append(find(*given)) or curves[-1])
    outcome = ulmfit(*command, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    found = outcome.json
    assert found["stage"] == stage
    assert len(found["rates"]) == len(found["losses"]) <= 30
    assert found["rates"][0] == pytest.approx(1e-7)
    assert all(1e-8 < found[name] < 1 for name in ("valley", "steep", "minimum"))
    assert [path.name for path in tmp_path.iterdir()] == ["reviews.csv"]

    (curve,) = curves
    monkeypatch.setattr(lr_find, "_curve", lambda *_: curve)
    text = ulmfit(*command).out.splitlines()
    assert text[0] == f"valley    {found['valley']:.2e}"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert "^ valley" in ulmfit(*command).out


def test_a_plot() -> None:
    rates = [10.0**exponent for exponent in range(-7, 1)]
    losses = [3.0, 3.0, 2.9, 2.0, 1.0, 1.5, 80.0, math.nan]
    lines = rate_plot(rates, losses, {"valley": 1e-4, "minimum": 1e-7}).splitlines()
    curve = lines[: lines.index(next(line for line in lines if "+---" in line))]
    assert sum(line.count("*") for line in curve) == 7
    assert lines[0].startswith("   5.000 |")  # the explosion does not press the rest flat
    assert curve[-1].startswith("   1.000 |")
    marks = {line.split()[-1]: line.index("^") for line in lines if "^" in line}
    assert list(marks) == ["minimum", "valley"]
    assert marks["minimum"] == 10
    assert marks["valley"] == 10 + round(3 / 7 * 63)
    assert rate_plot(rates, [2.0] * 8, {}).count("*") == 8


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--start", "1", "--end", "1"], "--start 1 is not below --end 1: the rates have to rise"),
        (["--preset", "tiny"], "--preset is only for --pretrained none"),
        (["--stage", "lm", "--pretrained", "none", "--preset", "tiny", "--layers", "9"], "network has 4 layer groups"),
        (["--stage", "head"], "invalid choice: 'head'"),
        (["--steps", "5"], "'5' is not a whole number of at least 20"),
        (["--pretrained", "nothing"], "there is no model 'nothing'"),
        (["--stage", "classifier", "--label-column", "topic"], "has no column 'topic'"),
    ],
)
def test_wrong_turns(arguments: list[str], part: str, tmp_path: Path, ulmfit: Run) -> None:
    data = write_csv(tmp_path / "reviews.csv", reviews(40, 1))
    outcome = ulmfit("lr-find", data, *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
    assert part in outcome.err


def test_data_without_labels_or_words(trained: Trained, language_model: Path, tmp_path: Path, ulmfit: Run) -> None:
    (tmp_path / "lines.txt").write_text("one text\nanother\n", "utf-8")
    outcome = ulmfit("lr-find", tmp_path / "lines.txt", "--stage", "classifier", "--pretrained", language_model)
    assert "is plain text and has no labels" in outcome.err
    outcome = ulmfit("lr-find", trained.train, "--pretrained", trained.out)
    assert "holds a classifier, but a language model is needed" in outcome.err
