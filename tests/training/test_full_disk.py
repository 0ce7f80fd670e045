"""A disk that is really full: a file system in memory, of some kilobytes. Needs the right to mount one."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
from scripted_task import START, ScriptedTask
from tiny_runs import run

from ulmfit_jax.errors import TrainingError
from ulmfit_jax.training.loop_options import LoopOptions, TrainResult
from ulmfit_jax.training.stages import Stage

STAGES = [Stage("first", 2, 0.1), Stage("second", 1, (0.01, 0.2), schedule="constant")]
FIRST_KILOBYTES, MORE_KILOBYTES = 8, 4


def mount(*options: str) -> bool:
    try:
        return subprocess.run(["mount", *options], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Callable[[int], bool]]]:
    """A disk's folder, and what gives it so many kilobytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not mount("-t", "tmpfs", "-o", f"size={FIRST_KILOBYTES}k", "tmpfs", str(folder)):
        pytest.skip("no file system may be mounted here")
    yield folder, lambda kilobytes: mount("-o", f"remount,size={kilobytes}k", str(folder))
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def trained(folder: Path | None) -> TrainResult:
    start = jax.tree.map(np.copy, START), {}
    return run(ScriptedTask(), STAGES, start, folder, LoopOptions(save_steps=2))


def attempt(folder: Path) -> TrainResult | str:
    """What came out, or what the run said when it ended."""
    try:
        return trained(folder)
    except (TrainingError, OSError) as error:
        return str(error)


def newest_state(folder: Path) -> int:
    """Its number; 0 where there is none."""
    return max((int(path.name) for path in folder.glob("state/*") if path.name.isdecimal()), default=0)


# TensorStore's threads report to event loops that have ended with the failure; `ulmfit` drops such reports.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_run_whose_disk_is_full_again_and_again_ends_as_the_whole_one(
    disk: tuple[Path, Callable[[int], bool]],
) -> None:
    """Each start has a little more room than the one before, so that writes fail early and late."""
    folder, grow = disk[0] / "run", disk[1]
    reached, kilobytes = [], FIRST_KILOBYTES
    while isinstance(result := attempt(folder), str):
        assert re.search("no free disk left|No space left on device", result), result
        reached.append(newest_state(folder))
        kilobytes += MORE_KILOBYTES
        assert kilobytes < 1000
        assert grow(kilobytes)
    assert reached == sorted(reached)
    assert len(reached) >= 3
    assert reached[-1] > 0, "the disk was never full once there was a state"
    whole = trained(None)
    np.testing.assert_array_equal(result.parameters["w"], whole.parameters["w"])
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert [(row["stage"], row["epoch"], row["train_loss"]) for row in rows] == [
        (row["stage"], row["epoch"], row["train_loss"]) for row in whole.history
    ]
