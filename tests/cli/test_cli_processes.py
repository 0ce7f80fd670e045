"""`ulmfit train` in two processes: one result, printed once, and mistakes in one sentence."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Outcome, Trained, on_one_device, reviews, write_csv

Run = Callable[..., Outcome]


@pytest.mark.slow
def test_two_processes_train_one_model(trained: Trained, language_model: Path, tmp_path: Path, ulmfit: Run) -> None:
    labelled = write_csv(tmp_path / "train.csv", reviews(40, 6))
    command = ["train", str(labelled), "--pretrained", str(language_model), "--lm-epochs", "0", "--epochs", "1,0,0,0"]
    command += ["--test", str(trained.test), "--json", "--batch-size", "16"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{free.getsockname()[1]}"
    script = str(Path(sys.executable).with_name("ulmfit"))
    command_together = [script, *command, "--out", str(tmp_path / "run"), "--coordinator", where, "--processes", "2"]
    running = [
        subprocess.Popen(
            [*command_together, "--process", str(number)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**on_one_device(), "JAX_PLATFORMS": "cpu"},
        )
        for number in range(2)
    ]
    said = [process.communicate(timeout=300) for process in running]
    assert [process.returncode for process in running] == [0, 0], [err.decode() for _, err in said]
    results = [[line for line in out.decode().splitlines() if line.startswith("{")] for out, _ in said]
    assert [len(lines) for lines in results] == [1, 0]
    together = json.loads(results[0][0])
    assert "error rate" in said[0][1].decode()
    assert "error rate" not in said[1][1].decode()

    alone = ulmfit(*command, "--out", tmp_path / "alone", "--devices", "2").json
    assert together["validation"]["loss"] == pytest.approx(alone["validation"]["loss"], abs=1e-5)
    assert together["test"]["loss"] == pytest.approx(alone["test"]["loss"], abs=1e-5)
    assert ulmfit("evaluate", tmp_path / "run", trained.test, "--json").json["accuracy"] == together["test"]["accuracy"]


def test_half_of_the_options_is_refused(trained: Trained, tmp_path: Path, ulmfit: Run) -> None:
    outcome = ulmfit("train", trained.train, "--out", tmp_path / "run", "--processes", "2")
    assert outcome.code == 2
    assert "--coordinator, --processes and --process belong together" in outcome.err
    assert not (tmp_path / "run").exists()


def test_no_other_processes_to_be_found(
    trained: Trained, tmp_path: Path, ulmfit: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(os.environ):  # in a job of a cluster JAX would wait for the other processes
        if name.startswith(("SLURM_", "OMPI_", "PMIX_", "PMI_", "KUBERNETES_", "TPU_", "JOB_COMPLETION_INDEX")):
            monkeypatch.delenv(name)
    outcome = ulmfit("train", trained.train, "--out", tmp_path / "run", "--distributed")
    assert outcome.code == 2
    assert "the processes of this run cannot be joined" in outcome.err
    assert not (tmp_path / "run").exists()
