"""`report.html` of real runs: there, of the right texts, made again when it is missing, and never in the way."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from command_line import Outcome, Trained, finished

from ulmfit_jax.report import run_report

Run = Callable[..., Outcome]


def said(page: Path) -> str:
    """The page's text without its tags."""
    return re.sub(r"<[^>]*>", "", page.read_text("utf-8"))


def moved(trained: Trained, folder: Path, without_test: bool = False) -> list[str]:
    """The command of the trained run for a copy of its folder."""
    shutil.copytree(trained.out, folder)
    (folder / "report.html").unlink()
    arguments = [str(folder) if argument == str(trained.out) else argument for argument in trained.arguments]
    if without_test:
        arguments = [argument for argument in arguments if argument not in ("--test", str(trained.test))]
    return arguments


def test_the_page_of_a_run_shows_its_figures_seed_device_and_versions(trained: Trained) -> None:
    text = said(trained.out / "report.html")
    assert "Measured on 20 test texts" in text
    assert f"Accuracy{trained.json['test']['accuracy']:.1%}" in text
    assert f"ulmfit {' '.join(trained.arguments)}" in text.replace("&amp;", "&")
    assert "Language model: loss after each epoch" in text
    assert "Classifier: learning rate" in text
    assert "TF-IDF (1-2-grams) and logistic regression" in text
    assert f"Seed{trained.json['seed']}" in text
    assert re.search(r"DeviceCPU \(\S+, \d+ logical cores\)", text)
    for package in ("jax", "flax", "optax", "orbax-checkpoint", "numpy"):
        assert f"{package} {version(package)}" in text
    if trained.json["test"]["error"]:
        assert "sure), is" in text
        assert "Most for it: " in text


def test_a_missing_page_is_made_again_and_nothing_else(trained: Trained, tmp_path: Path, ulmfit: Run) -> None:
    arguments = moved(trained, tmp_path / "run")
    before = (tmp_path / "run" / "report.json").read_bytes()
    outcome = ulmfit(*arguments)
    assert (outcome.code, outcome.err) == (0, finished(tmp_path / "run"))
    assert "Measured on 20 test texts" in said(tmp_path / "run" / "report.html")
    assert (tmp_path / "run" / "report.json").read_bytes() == before


def test_without_a_test_set_the_held_out_texts_are_measured(trained: Trained, tmp_path: Path, ulmfit: Run) -> None:
    outcome = ulmfit(*moved(trained, tmp_path / "run", without_test=True))
    assert (outcome.code, outcome.err) == (0, finished(tmp_path / "run"))
    text = said(tmp_path / "run" / "report.html")
    assert "Measured on 6 texts held out of training" in text
    assert f"Accuracy{outcome.json['validation']['accuracy']:.1%}" in text


@pytest.mark.parametrize(
    "error", [OSError("disk full"), MemoryError(), RuntimeError("RESOURCE_EXHAUSTED: out of\nmemory")]
)
def test_a_page_that_cannot_be_written_loses_nothing(
    error: Exception, trained: Trained, tmp_path: Path, ulmfit: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    arguments = moved(trained, tmp_path / "run")
    monkeypatch.setattr(run_report, "write_run_report", fail)
    outcome = ulmfit(*arguments)
    assert outcome.code == 0
    assert outcome.json["test"] == trained.json["test"]
    assert outcome.err.removeprefix(finished(tmp_path / "run")).count("\n") == 1
    assert f"the page {tmp_path / 'run' / 'report.html'} could not be written ({type(error).__name__}" in outcome.err
    assert "model and results are saved, and the same command tries again" in outcome.err
    assert not (tmp_path / "run" / "report.html").exists()
    assert json.loads((tmp_path / "run" / "report.json").read_text())["test"]["n"] == 20
