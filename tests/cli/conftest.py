"""A run of the real console script, a language model, and `ulmfit` called in this process."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import SMALL, Outcome, Pretrained, Trained, reviews, script, write_csv

from ulmfit_jax.cli.main import main
from ulmfit_jax.progress import ConsoleProgress


@pytest.fixture
def ulmfit(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """`ulmfit` in this process."""

    def run(*arguments: str | Path) -> Outcome:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def quick_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--dry-run` measures one program and no more."""
    monkeypatch.setattr("ulmfit_jax.dry_run.MEASURING_SECONDS", 0.0)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A classifier that the real console script has trained from scratch and tested."""
    folder = tmp_path_factory.mktemp("trained")
    train, test = write_csv(folder / "train.csv", reviews(60, 1)), write_csv(folder / "test.csv", reviews(20, 2))
    out = folder / "run"
    arguments = ["train", str(train), "--test", str(test), "--out", str(out), *SMALL, "--json"]
    output = script(*arguments)
    assert output.returncode == 0, output.stderr.decode()
    return Trained(train, test, out, arguments, output)


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Pretrained:
    """A tiny language model whose training was interrupted, gone on with, and started once more after its end."""
    folder = tmp_path_factory.mktemp("pretrained")
    (folder / "corpus.txt").write_text("\n".join(text for text, _ in reviews(60, 3)), "utf-8")
    arguments = ["pretrain", str(folder / "corpus.txt"), "--documents", "lines", "--out", str(folder / "run")]
    arguments += ["--preset", "tiny", "--epochs", "2", "--devices", "1", "--json"]

    def interrupt(progress: ConsoleProgress, row: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConsoleProgress, "epoch_done", interrupt)
        interrupted = _called(arguments)
    return Pretrained(folder / "run", interrupted, _called(arguments), _called(arguments))


@pytest.fixture(scope="session")
def language_model(pretrained: Pretrained) -> Path:
    """The run folder of a tiny language model."""
    return pretrained.out


def _called(arguments: list[str]) -> Outcome:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    return Outcome(code, out.getvalue(), err.getvalue())
