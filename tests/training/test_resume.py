"""A run that is killed and started again is the uninterrupted run, bit for bit: with real processes and SIGKILL.

What follows from a break at any event is tested in `test_loop.py`, without processes.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import resume_driver

KILLS = 3


def train_in_a_process(folder: Path, event: int | None = None) -> int:
    """The exit status of the driver; minus the signal's number if one has ended it."""
    command = [sys.executable, str(Path(resume_driver.__file__)), str(folder)]
    return subprocess.run([*command, *([str(event)] if event is not None else [])], timeout=120, check=False).returncode


def table(run_folder: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (run_folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The folder of a run in this process, and its number of events."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    return folder, resume_driver.train(folder, None)


def test_a_run_killed_at_drawn_steps_ends_as_the_uninterrupted_one(
    uninterrupted: tuple[Path, int], tmp_path: Path
) -> None:
    """Each start is killed some events further on; the last one is left to end."""
    whole, events = uninterrupted
    kills = [random.Random(seed).randrange(3, events // 2) for seed in range(KILLS)]
    for event in kills:
        assert train_in_a_process(tmp_path, event) == -signal.SIGKILL
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
