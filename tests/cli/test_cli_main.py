"""What becomes of the ends that a command can come to."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Outcome

from ulmfit_jax.cli import show
from ulmfit_jax.cli.main import COMMANDS
from ulmfit_jax.errors import DataError
from ulmfit_jax.training.interruption import TrainingInterrupted

Run = Callable[..., Outcome]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, ulmfit: Run) -> Callable[[BaseException], Outcome]:
    def run(error: BaseException) -> Outcome:
        def fail(options: argparse.Namespace) -> None:
            print("a result")
            raise error

        monkeypatch.setattr(show, "run", fail)
        return ulmfit("show", "data.csv")

    return run


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (DataError("line 3 is\nwrong"), 2, "line 3 is wrong"),
        (DataError("give data_dir or label_column."), 2, "give --data-dir or --label-column."),
        (DataError("a/data_dir/b my-data_dir data_dir.csv 'data_dir'"), 2, None),
        (KeyboardInterrupt(), 130, "interrupted"),
        (
            OSError(errno.ENOSPC, "No space left on device", "run/x"),
            2,
            "there is no free disk left at run/x: free some space and give the same command again",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "run/x"),
            2,
            "the system refuses at run/x (Permission denied): give a place that can be read and written",
        ),
        (MemoryError(), 2, "there is not enough memory for this: give less data, or a smaller batch size"),
        (
            RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"),
            2,
            "the device has not enough memory for this: choose a smaller batch size or preset",
        ),
    ],
)
def test_an_error_is_one_sentence(
    failing: Callable[[BaseException], Outcome], error: BaseException, code: int, sentence: str | None
) -> None:
    outcome = failing(error)
    assert outcome == Outcome(code, "a result\n", f"ulmfit: {sentence or error}\n")


def test_a_closed_pipe_says_nothing(failing: Callable[[BaseException], Outcome]) -> None:
    assert failing(BrokenPipeError()) == Outcome(141, "a result\n", "")


def test_a_defect_is_not_hidden(failing: Callable[[BaseException], Outcome]) -> None:
    with pytest.raises(RuntimeError, match="a defect"):
        failing(RuntimeError("a defect"))


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt(), 130), (TrainingInterrupted(signal.SIGINT), 130), (TrainingInterrupted(signal.SIGTERM), 143)],
)
@pytest.mark.parametrize("place", ["language_model/state/3", "seed-0/classifier/state/12", "classifier/state/x.tmp"])
def test_an_interrupted_training_says_how_to_go_on(
    error: KeyboardInterrupt, code: int, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ulmfit: Run
) -> None:
    def interrupt(options: argparse.Namespace) -> None:
        raise error

    monkeypatch.setattr(COMMANDS["train"], "run", interrupt)
    out = tmp_path / "run"
    begins_again = "ulmfit: interrupted before a state was saved: the same command begins again\n"
    outcome = ulmfit("train", "data.csv", "--out", out)
    assert (outcome.code, outcome.err) == (code, begins_again)
    (out / place).mkdir(parents=True)
    goes_on = f"ulmfit: interrupted: the same command goes on from the last state saved in {out}\n"
    assert ulmfit("train", "data.csv", "--out", out).err == (begins_again if "tmp" in place else goes_on)


def test_an_interrupted_dry_run_promises_nothing(monkeypatch: pytest.MonkeyPatch, ulmfit: Run) -> None:
    def interrupt(options: argparse.Namespace) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(COMMANDS["train"], "run", interrupt)
    outcome = ulmfit("train", "data.csv", "--out", "here", "--dry-run")
    assert (outcome.code, outcome.err) == (130, "ulmfit: interrupted: a dry run keeps nothing\n")


def test_sigterm_outside_of_steps_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, ulmfit: Run) -> None:
    """While texts are tokenised, say; training steps have their own handling."""

    def terminate(options: argparse.Namespace) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(COMMANDS["train"], "run", terminate)
    outcome = ulmfit("train", "data.csv", "--out", "here")
    assert outcome.code == 143
    assert outcome.err == "ulmfit: interrupted before a state was saved: the same command begins again\n"
    assert signal.getsignal(signal.SIGTERM) == before


def test_help_names_every_command_and_exit_code(ulmfit: Run) -> None:
    outcome = ulmfit("--help")
    assert (outcome.code, outcome.err) == (0, "")
    words = {line.split()[0] for line in outcome.out.splitlines() if line.strip()}
    assert set(COMMANDS) <= words
    assert {"0", "1", "2", "130", "141"} <= words
    assert "\x1b" not in outcome.out


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command_teaches_by_examples(name: str, ulmfit: Run) -> None:
    outcome = ulmfit(name, "--help")
    assert outcome.code == 0
    assert f"examples:\n  ulmfit {name}" in outcome.out


def test_no_argument_at_all_is_answered_with_the_help(ulmfit: Run) -> None:
    outcome = ulmfit()
    assert (outcome.code, outcome.out) == (2, "")
    assert "from labelled reviews to answers:" in outcome.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["trian", "x.csv"], "there is no command 'trian': did you mean train?; see ulmfit --help"),
        (["xyzzy"], "there is no command 'xyzzy'; see ulmfit --help"),
        (
            ["train", "x.csv", "--out", "o", "--epoch", "1"],
            "--epoch: did you mean --epochs?; see ulmfit train",
        ),
        (["train", "x.csv", "--ot", "o"], "there is no option --ot: did you mean --out?; see ulmfit train"),
        (["--versoin"], "there is no option --versoin: did you mean --version?; see ulmfit --help"),
        (["show", "x.csv", "--xyzzy=1"], "there is no option --xyzzy; see ulmfit show --help"),
        (["train", "x.csv"], "the following arguments are required: --out"),
        (["train", "x.csv", "--out", "o", "--epochs", "1,2,3"], "'1,2,3' is neither four numbers"),
        (["train", "x.csv", "--out", "o", "--epochs", "1,0"], "'1,0' is neither four numbers"),
        (["train", "x.csv", "--out", "o", "--epochs", "0,0,0,0"], "nor one above 0"),
        (["train", "x.csv", "--out", "o", "--lm-epochs", "-1"], "'-1' is not a whole number of at least 0"),
        (["train", "x.csv", "--out", "o", "--seed", "4294967296"], "is not a whole number from 0 to 4294967295"),
        (["train", "x.csv", "--out", "o", "--validation-fraction", "1"], "'1' is not a number of at least 0 and below"),
        (["train", "x.csv", "--out", "o", "--preset", "huge"], "invalid choice: 'huge'"),
        (["pretrain", "x.txt", "--out", "o", "--learning-rate", "nan"], "'nan' is not a number above 0"),
        (["pretrain", "x.txt", "--out", "o", "--drop-mult", "-1"], "'-1' is not a number of at least 0"),
        (["generate", "m", "--temperature", "0"], "'0' is not a number above 0"),
        (["generate", "m", "--words", "some"], "'some' is not a whole number of at least 1"),
    ],
)
def test_a_wrong_argument_is_one_sentence(arguments: list[str], sentence: str, ulmfit: Run) -> None:
    outcome = ulmfit(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert sentence in outcome.err
    assert outcome.err.count("\n") == 1
    assert outcome.err.startswith("ulmfit")


def test_an_interrupted_command_that_trains_nothing_promises_nothing(
    monkeypatch: pytest.MonkeyPatch, ulmfit: Run
) -> None:
    def interrupt(options: argparse.Namespace) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(COMMANDS["calibrate"], "run", interrupt)
    outcome = ulmfit("calibrate", "model", "data.csv")
    assert (outcome.code, outcome.err) == (130, "ulmfit: interrupted\n")
