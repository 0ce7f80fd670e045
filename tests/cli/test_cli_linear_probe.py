"""`ulmfit train --recipe linear_probe`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Outcome, reviews, write_csv

Run = Callable[..., Outcome]


@pytest.mark.slow
@pytest.mark.usefixtures("quick_plans")
def test_a_probe_from_the_command_line(language_model: Path, ulmfit: Run, tmp_path: Path) -> None:
    train, test = write_csv(tmp_path / "train.csv", reviews(60, 1)), write_csv(tmp_path / "test.csv", reviews(20, 2))
    out = tmp_path / "run"
    command = ["train", train, "--test", test, "--out", out, "--pretrained", language_model, "--lm-epochs", "0"]
    command += ["--recipe", "linear_probe", "--devices", "1"]
    planned = ulmfit(*command, "--dry-run")
    assert planned.code == 0, planned.err
    assert "classifier: linear probe          1        1\n" in planned.out
    outcome = ulmfit(*command)
    assert outcome.code == 0, outcome.err
    assert "linear probe: fitted at once\n" in outcome.err
    page = (out / "report.html").read_text("utf-8")
    assert "linear probe" in page
    assert "classifier: learning rate" not in page.lower()
    assert "epochs finished: classifier: linear probe 1 of 1" in ulmfit(*command, "--dry-run").out
    other = [part if part != "linear_probe" else "fine_tune" for part in command]
    for again in (ulmfit(*other), ulmfit(*other, "--dry-run")):
        assert again.code == 2
        assert "holds a run" in again.err


@pytest.mark.usefixtures("quick_plans")
def test_a_plan_refuses_what_the_training_would(language_model: Path, ulmfit: Run, tmp_path: Path) -> None:
    train = write_csv(tmp_path / "train.csv", reviews(60, 1))
    command = ["train", train, "--out", tmp_path / "run", "--pretrained", language_model, "--recipe", "linear_probe"]
    command += ["--devices", "1"]
    assert ulmfit(*command, "--lm-epochs", "1").code == 0
    for more in ([], ["--dry-run"]):
        refused = ulmfit(*command, "--lm-epochs", "0", *more)
        assert refused.code == 2
        assert "holds a run that started from another model" in refused.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--epochs", "1,1,1,2"], "epochs is (1, 1, 1, 2): linear_probe fits a head at once and has none"),
        (["--drop-mult", "1"], "--drop-mult is 1.0: linear_probe"),
        (["--adversarial", "0.1"], "adversarial is 0.1: linear_probe"),
        (["--lr-find"], "--lr-find looks for a learning rate, and --recipe linear_probe has none"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_it_has_not(options: list[str], said: str, ulmfit: Run, language_model: Path, tmp_path: Path) -> None:
    train = write_csv(tmp_path / "train.csv", reviews(20, 1))
    command = ["train", train, "--out", tmp_path / "run", "--pretrained", language_model, "--recipe", "linear_probe"]
    refused = ulmfit(*command, *options)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert said in refused.err
    assert not (tmp_path / "run").exists()
