"""A run that is killed and started again is the uninterrupted run, bit for bit: with real processes and SIGKILL.

What follows from a break at any event is tested in `test_loop.py`, without processes.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import resume_driver
from resume_driver import OPTIONS
from torture import table

KILLS = 2
"""Of each of the two runs."""


def train_in_a_process(folder: Path, *kill: str) -> int:
    """The exit status of the driver; minus the signal's number if one has ended it."""
    command = [sys.executable, str(Path(resume_driver.__file__)), str(folder), *kill]
    return subprocess.run(command, timeout=120, check=False).returncode


def drawn_events(count: int) -> list[int]:
    """Where to kill a run of `count` events: after its first state (4 steps, the stage's start before them), and so
    that the starts together do not reach its end."""
    first = OPTIONS.save_steps + 3
    drawn = random.Random(count)
    return [drawn.randrange(first, count // KILLS) for _ in range(KILLS)]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """The folder of a run in this process, and its numbers of events."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    return folder, resume_driver.train(folder)


def test_a_run_killed_at_drawn_steps_ends_as_the_uninterrupted_one(
    uninterrupted: tuple[Path, dict[str, int]], tmp_path: Path
) -> None:
    """Each start is killed some events further on, when a state is on disk; the last one is left to end."""
    whole, events = uninterrupted
    kills = [(name, event) for name, count in events.items() for event in drawn_events(count)]
    for name, event in kills:
        assert train_in_a_process(tmp_path, name, str(event)) == -signal.SIGKILL
        states = tmp_path / ("run-lm" if name == "language_model" else "run-cl") / "state"
        assert any(path.name.isdecimal() for path in states.iterdir()), "killed before there was anything to go on from"
    assert train_in_a_process(tmp_path) == 0
    for name in ("language_model", "classifier"):
        expected, found = np.load(whole / f"{name}.npz"), np.load(tmp_path / f"{name}.npz")
        assert sorted(found.files) == sorted(expected.files)
        for path in expected.files:
            np.testing.assert_array_equal(found[path], expected[path], err_msg=f"{path} after kills at {kills}")
    for name in ("run-lm", "run-cl"):
        assert table(tmp_path / name) == table(whole / name)
        left = sorted(path.name for path in (tmp_path / name / "state").iterdir())
        assert len(left) == 2, left
        assert all(child.isdecimal() for child in left), left
