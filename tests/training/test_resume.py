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


def train_in_a_process(folder: Path, *kill: str, largest_file: str = "unlimited") -> tuple[int, str]:
    """The exit status of the driver, minus the signal's number if one has ended it, and standard error.

    No file that it writes may become larger than `largest_file` blocks of 512 bytes.
    """
    limited = ["sh", "-c", f'ulimit -f {largest_file}; exec "$@"', "sh"]
    command = [*limited, sys.executable, str(Path(resume_driver.__file__)), str(folder), *kill]
    ended = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=240, check=False)
    return ended.returncode, ended.stderr


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


def assert_the_same(folder: Path, whole: Path) -> None:
    """Parameters and statistics bit for bit, every row of the tables once, and nothing left but the last two states."""
    for name in ("language_model", "classifier"):
        expected, found = np.load(whole / f"{name}.npz"), np.load(folder / f"{name}.npz")
        assert sorted(found.files) == sorted(expected.files)
        for path in expected.files:
            np.testing.assert_array_equal(found[path], expected[path], err_msg=path)
    for name in ("run-lm", "run-cl"):
        assert table(folder / name) == table(whole / name)
        left = sorted(path.name for path in (folder / name / "state").iterdir())
        assert len(left) == 2, left
        assert all(child.isdecimal() for child in left), left


@pytest.mark.slow
def test_a_run_killed_at_drawn_steps_ends_as_the_uninterrupted_one(
    uninterrupted: tuple[Path, dict[str, int]], tmp_path: Path
) -> None:
    """Each start is killed some events further on, when a state is on disk; the last one is left to end."""
    whole, events = uninterrupted
    for name, count in events.items():
        for event in drawn_events(count):
            assert train_in_a_process(tmp_path, name, str(event))[0] == -signal.SIGKILL
    assert train_in_a_process(tmp_path)[0] == 0
    assert_the_same(tmp_path, whole)


@pytest.mark.slow
def test_a_run_whose_states_the_system_refuses_goes_on_when_it_takes_them(
    uninterrupted: tuple[Path, dict[str, int]], tmp_path: Path
) -> None:
    """As on a full disk (`test_full_disk.py`), where nothing may be mounted."""
    code, said = train_in_a_process(tmp_path, largest_file="8")
    assert code == 1
    assert "TrainingError: the training state cannot be saved in" in said
    assert "File too large" in said
    assert not [path for path in (tmp_path / "run-lm" / "state").iterdir() if path.name.isdecimal()]
    assert train_in_a_process(tmp_path)[0] == 0
    assert_the_same(tmp_path, uninterrupted[0])
