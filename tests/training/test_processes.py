"""Runs of several processes over loopback: the parameters of one process, and nothing lost when one of them ends."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import assert_trained_alike

DRIVER = Path(__file__).with_name("process_driver.py")
EPOCHS = 5
"""30 steps of the language model, 25 of the classifier."""


def together(folder: Path, processes: int, *more: str, epochs: Sequence[int] = ()) -> list[tuple[int, str]]:
    """Exit code and standard error of each process of a run in `folder`; `epochs` of each, `EPOCHS` by default."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir(exist_ok=True)
    command = [sys.executable, str(DRIVER), str(folder)]
    each = epochs or [EPOCHS] * processes
    numbers = [[str(number), str(processes), str(port), "--epochs", str(count)] for number, count in enumerate(each)]
    running = [subprocess.Popen([*command, *its, *more], stderr=subprocess.PIPE, text=True) for its in numbers]
    try:
        said = [process.communicate(timeout=240)[1] for process in running]
    finally:
        for process in running:
            process.kill()
    return [(process.returncode, text) for process, text in zip(running, said, strict=True)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run by one process with four devices."""
    folder = tmp_path_factory.mktemp("alone")
    assert [code for code, _ in together(folder, 1)] == [0]
    return folder


def assert_same_parameters(folder: Path, alone: Path) -> None:
    """Of both runs; sums over devices come in another order."""
    for name in ("language_model", "classifier"):
        expected, found = np.load(alone / f"{name}.npz"), np.load(folder / f"{name}.npz")
        assert_trained_alike(dict(found), dict(expected))


def test_eight_devices_train_as_four(tmp_path: Path, alone: Path) -> None:
    """One row of the batch on each, so that a batch normalisation of its own would have nothing to normalise."""
    assert [code for code, _ in together(tmp_path / "run", 1, "--devices", "8")] == [0]
    assert_same_parameters(tmp_path / "run", alone)


def test_a_killed_process_ends_the_others_and_more_of_them_go_on(tmp_path: Path, alone: Path) -> None:
    (first, said), (killed, _) = together(tmp_path / "run", 2, "--kill", "1", "17")
    assert killed == -9
    # Whichever sees it first: the step that waits for the other's numbers, or a thread of the runtime (JAX's heartbeats
    # most often), which ends the process by a signal, as a rule with a message.
    assert first not in (0, -9)
    assert first < 0 or "another process of this run has ended or cannot be reached" in said, (first, said)
    assert not (tmp_path / "run" / "language_model.npz").exists()

    assert [code for code, _ in together(tmp_path / "run", 4)] == [0] * 4
    assert_same_parameters(tmp_path / "run", alone)


def test_a_signal_to_one_process_ends_all_with_their_state_saved(tmp_path: Path, alone: Path) -> None:
    ended = together(tmp_path / "run", 2, "--interrupt", "1", "13")
    assert [code for code, _ in ended] == [143, 143]
    assert all("training was interrupted by SIGTERM; its state is saved" in said for _, said in ended)

    assert [code for code, _ in together(tmp_path / "run", 2)] == [0, 0]
    assert_same_parameters(tmp_path / "run", alone)


def test_processes_with_other_options_are_refused(tmp_path: Path) -> None:
    (first, _), (second, said) = together(tmp_path, 2, epochs=(3, 4))
    assert second == 3
    assert "holds a run whose stages have the epochs " in said
    assert first != 0
    assert os.listdir(tmp_path / "language_model" / "state") == []
