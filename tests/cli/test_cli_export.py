"""`ulmfit export`: the files that it names are there and hold the model."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Outcome, Trained

pytest.importorskip("flatbuffers", reason="flatbuffers, with which JAX writes programs, is not installed")
pytest.importorskip("safetensors", reason="safetensors is not installed")

from ulmfit_jax import TextClassifier
from ulmfit_jax.artifact import load_artifact
from ulmfit_jax.interop import import_safetensors

Run = Callable[..., Outcome]


def test_a_program(trained: Trained, ulmfit: Run, tmp_path: Path) -> None:
    outcome = ulmfit("export", trained.out, "--to", tmp_path / "mine.stablehlo")
    assert (outcome.code, outcome.err) == (0, "")
    files = [Path(line) for line in outcome.out.splitlines()]
    assert files[0] == tmp_path / "mine.stablehlo"
    assert all(path.is_file() for path in files)
    assert json.loads(files[1].read_text())["labels"] == ["bad", "good"]
    text = "The kettle was lovely. The bus was splendid."
    command = [sys.executable, str(files[-1]), str(files[1]), text]
    read = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    model = TextClassifier.load(trained.out, devices=1)
    label, _, probabilities = read.partition(" ")
    assert label == model.predict(text)
    expected = dict(zip(model.classes_.tolist(), model.predict_proba(text)[0].tolist(), strict=True))
    assert json.loads(probabilities) == pytest.approx(expected, abs=1e-6)


def test_safetensors(trained: Trained, ulmfit: Run, tmp_path: Path) -> None:
    outcome = ulmfit("export", trained.out, "--to", tmp_path / "mine.safetensors")
    assert (outcome.code, outcome.err) == (0, "")
    again = import_safetensors(outcome.out.splitlines()[0])
    assert again.config() == load_artifact(trained.out / "model").config()


@pytest.mark.parametrize("name", ["mine.onnx", "mine", "mine.stablehlo.txt"])
def test_another_ending_is_refused(trained: Trained, ulmfit: Run, tmp_path: Path, name: str) -> None:
    outcome = ulmfit("export", trained.out, "--to", tmp_path / name)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.endswith(f"{name}: give a name that ends in .stablehlo or .safetensors\n")
    assert not list(tmp_path.iterdir())
