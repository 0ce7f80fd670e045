"""`ulmfit train`, stopped in the middle of each kind of stage: the same command goes on, and the model is the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import on_one_device, reviews, write_csv

from ulmfit_jax.artifact import load_artifact
from ulmfit_jax.nn.parameters import flatten

STOPS = (("SIGTERM", "lm", 143), ("SIGKILL", "head", -9), ("SIGINT", "all layers", 130))
"""Signal, kind of stage, exit code."""
GOES_ON = "ulmfit: interrupted: the same command goes on from the last state saved in "


def run(*command: str | Path) -> tuple[int, str]:
    """Exit code and standard error of a Python program, on one device."""
    started = [sys.executable, *map(str, command)]
    environment = {**on_one_device(), "JAX_PLATFORMS": "cpu"}
    ended = subprocess.run(started, capture_output=True, text=True, env=environment, timeout=300, check=False)
    return ended.returncode, ended.stderr


def arrays(run_folder: Path) -> dict[str, np.ndarray]:
    model = load_artifact(run_folder / "model")
    return flatten({"parameters": model.parameters, "statistics": model.statistics})


def tables(run_folder: Path) -> list[dict[str, Any]]:
    """The rows of both tables without their times."""
    files = [run_folder / name / "metrics.jsonl" for name in ("language_model", "classifier")]
    rows = [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.mark.slow
def test_a_command_stopped_within_its_stages_ends_as_the_uninterrupted_one(
    language_model: Path, tmp_path: Path
) -> None:
    labelled = write_csv(tmp_path / "train.csv", reviews(60, 5))
    options = ["train", labelled, "--pretrained", language_model, "--lm-epochs", "1", "--epochs", "1,0,0,1"]
    assert run("-m", "ulmfit_jax", *options, "--out", tmp_path / "whole")[0] == 0
    driver, stopped = Path(__file__).with_name("signal_driver.py"), tmp_path / "stopped"
    for name, stage, expected in STOPS:
        code, said = run(driver, name, stage, "2", *options, "--out", stopped)
        assert code == expected, (name, stage, said)
        assert (said.splitlines()[-1] == f"{GOES_ON}{stopped}") == (name != "SIGKILL"), (name, stage, said)
        assert not (stopped / "model").exists()
    assert run("-m", "ulmfit_jax", *options, "--out", stopped)[0] == 0

    expected_arrays, found = arrays(tmp_path / "whole"), arrays(stopped)
    assert sorted(found) == sorted(expected_arrays)
    for path, array in expected_arrays.items():
        np.testing.assert_array_equal(found[path], array, err_msg=path)
    assert tables(stopped) == tables(tmp_path / "whole")
    assert [row["stage"] for row in tables(stopped)] == [stage for _, stage, _ in STOPS]
