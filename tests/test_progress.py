"""What a person sees while a model is trained: on a terminal a bar that is redrawn, elsewhere only whole lines."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import time

import pytest

from ulmfit_jax.progress import ConsoleProgress
from ulmfit_jax.training.stages import Stage


class Screen(io.StringIO):
    def __init__(self, terminal: bool):
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def shown(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> str:
    """Four steps of one epoch, the first in ten minutes, the others in thirty seconds each, then its row."""
    clock = iter([0, *range(600, 10_000, 30)])
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    screen = Screen(terminal)
    progress = ConsoleProgress(screen)
    progress.stage_started(Stage("head", 1, 2e-2), (2e-2,), ("valid_loss", "error_rate"), 4, 0)
    for step in (1, 2, 3, 4):
        progress.step_done(step, 0.5 / step)
    progress.epoch_done({"epoch": 0, "train_loss": 0.25, "valid_loss": 0.5, "error_rate": 0.125, "seconds": 120.0})
    return screen.getvalue()


def test_a_terminal_gets_a_bar_with_the_time_left_which_the_row_wipes(monkeypatch):
    text = shown(True, monkeypatch)
    bars = [part for part in text.split("\r\x1b[2K") if "━" in part]
    assert [bar.count("━") for bar in bars] == [6, 12, 18, 24]
    assert all(len(bar.split()[0]) == 24 for bar in bars)
    assert bars[0].endswith("head: 1/4 steps, loss 0.5000")
    assert bars[1].endswith("head: 2/4 steps, loss 0.2500, 01:00 left")
    assert "00:00 left" in bars[3]
    assert "compiling the first step" in text.split("\r\x1b[2K")[-6]
    row = text.split("\r\x1b[2K")[-1]
    assert row.split() == ["0", "0.2500", "0.5000", "0.1250", "02:00"]


def test_elsewhere_there_are_whole_lines_at_most_one_a_minute(monkeypatch):
    text = shown(False, monkeypatch)
    assert "\r" not in text
    assert "\x1b" not in text
    assert [line.split(" steps")[0] for line in text.splitlines() if "loss 0" in line] == ["head: 1/4", "head: 3/4"]
    assert text.splitlines()[2].split() == ["epoch", "train", "loss", "valid", "loss", "error", "rate", "time"]


@pytest.mark.parametrize("terminal", [True, False])
def test_steps_without_epochs_leave_nothing_on_a_terminal_and_a_line_a_minute_elsewhere(terminal, monkeypatch):
    clock = iter([0, *range(600, 10_000, 30)])
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    screen = Screen(terminal)
    progress = ConsoleProgress(screen)
    progress.run_started("finder", 4)
    for step in (1, 2, 3):
        progress.step_done(step, 0.5)
    progress.run_done()
    if terminal:
        shown = screen.getvalue().split("\r\x1b[2K")
        assert [part.count("━") for part in shown] == [0, 0, 6, 12, 18, 0]
        assert shown[1].endswith("finder: compiling the first step")
        assert shown[-1] == ""
    else:
        assert screen.getvalue() == "finder: 1/4 steps, loss 0.5000\nfinder: 3/4 steps, loss 0.5000, 00:30 left\n"


def test_the_rates_are_those_of_the_layers_that_train():
    for stage, said in (
        (Stage("last layer", 1, (1e-2 / 2.6**4, 1e-2), -2), "0.0038 to 0.01"),
        (Stage("head", 1, 0.02, -1), "0.02"),
    ):
        screen = Screen(False)
        ConsoleProgress(screen).stage_started(stage, stage.peaks(5), ("valid_loss",), 4, 0)
        assert screen.getvalue().splitlines()[1] == f"{stage.name}: 1 epoch, 4 steps, rate {said}"


def test_documents_that_are_read_before_the_first_step_are_told(monkeypatch):
    for terminal, seconds, lines in ((True, 0.5, [300, 600, 1_000]), (False, 40.0, [600])):
        clock = iter(seconds * number for number in range(10))
        monkeypatch.setattr(time, "monotonic", lambda clock=clock: next(clock))
        screen = Screen(terminal)
        progress = ConsoleProgress(screen)
        progress.stage_started(Stage("head", 1, 2e-2), (2e-2,), ("valid_loss",), 4, 0)
        for done in (300, 600, 1_000):
            progress.documents_read(done, 1_000)
        told = [line for line in re.split(r"[\r\n]", screen.getvalue()) if "documents" in line]
        assert [f"head: {done:,}/1,000 documents read, whose vectors are kept" for done in lines] == [
            line[line.index("head") :] for line in told
        ]
        assert [line.count("━") for line in told] == ([7, 14, 24] if terminal else [0])


def test_training_goes_on_and_ends_well_when_nobody_reads() -> None:
    program = """
import sys
from ulmfit_jax.cli.console import note
from ulmfit_jax.progress import ConsoleProgress
from ulmfit_jax.training.stages import Stage

sys.stdin.readline()  # the reader is gone now
progress = ConsoleProgress()
for _ in range(3):
    progress.stage_started(Stage("head", 1, 2e-2), (2e-2,), ("valid_loss",), 4, 0)
    note("a note")
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stderr.close()
        process.stdin.write(b"\n")
        process.stdin.close()
        assert process.wait(timeout=120) == 0
