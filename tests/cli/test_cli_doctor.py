"""`ulmfit doctor`: a machine that is ready, and each thing that may be wrong with one."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import pytest
from command_line import Outcome

from ulmfit_jax.cli import checks
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.training import mapping

Run = Callable[..., Outcome]


def test_this_machine_is_ready(tmp_path: Path, ulmfit: Run) -> None:
    outcome = ulmfit("doctor", "--place", tmp_path / "runs" / "to-be", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.json["ready"] is True
    found = {check["name"]: check for check in outcome.json["checks"]}
    assert found["jax"]["found"] == jax.__version__
    assert found["devices"]["found"].startswith("4 cpu")
    assert str(tmp_path) in found["run folders"]["found"]
    assert found["wikipedia-small-forward"]["found"].startswith("loads: language model")
    assert "GFLOP/s in float32" in found["matrix product"]["found"]
    assert "tokens/s" in found["training step"]["found"]
    assert not any(check["broken"] for check in found.values())
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without measurements and models."""
    monkeypatch.setattr("ulmfit_jax.cli.speed.products", lambda: checks.Check("matrix product", "fast"))
    monkeypatch.setattr("ulmfit_jax.cli.speed.training_step", lambda: checks.Check("training step", "fast"))
    monkeypatch.setattr(checks, "models", lambda: [])


def test_extras_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"starlette", "uvicorn", "flatbuffers"}

    def version(name: str) -> str:
        if name not in there:
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(importlib.metadata, "version", version)
    check = checks.extras()
    assert check.found == (
        "serve; not installed: export, spacy, fastai (pip install '.[export,spacy,fastai]' in the folder of ulmfit-jax)"
    )
    assert (check.advice, check.broken) == ("", False)
    there.update(("safetensors", "spacy", "torch"))
    assert checks.extras().found == "serve, export, spacy, fastai"


@pytest.mark.usefixtures("quick")
def test_a_missing_and_a_too_old_package(monkeypatch: pytest.MonkeyPatch, ulmfit: Run) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "optax":
            raise importlib.metadata.PackageNotFoundError(name)
        return "0.1.0" if name == "flax" else real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(
        importlib.metadata, "requires", lambda name: ["flax<0.13,>=0.12", "optax>=0.2", "x; extra=='y'"]
    )
    outcome = ulmfit("doctor")
    assert outcome.code == 2
    assert outcome.err == "ulmfit: this machine is not ready: see flax, optax\n"
    lines = outcome.out.splitlines()
    assert any(line.startswith("PROBLEM flax") and "pip install 'flax<0.13,>=0.12'" in line for line in lines)
    assert any(line.startswith("PROBLEM optax") and "not installed: pip install 'optax>=0.2'" in line for line in lines)
    assert any(line.startswith("ok      sentencepiece") for line in lines)


@pytest.mark.usefixtures("quick")
def test_colours_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch, ulmfit: Run) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b" not in ulmfit("doctor").out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    coloured = ulmfit("doctor").out
    assert any(line.startswith("\x1b[32mok      \x1b[0mpython") for line in coloured.splitlines())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in ulmfit("doctor").out


@pytest.mark.usefixtures("quick")
def test_no_device_means_nothing_is_measured(monkeypatch: pytest.MonkeyPatch, ulmfit: Run) -> None:
    def refuse(self: Any, count: int | None = None) -> None:
        raise ConfigError("JAX finds no device of the platform tpu")

    monkeypatch.setattr(mapping.Devices, "__init__", refuse)
    outcome = ulmfit("doctor")
    assert outcome.code == 2
    assert "PROBLEM devices" in outcome.out
    assert "matrix product" not in outcome.out


def test_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("usage", (), {"free": 1e9})
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda place: usage)
    little = checks.disk("run folders", tmp_path)
    assert (little.broken, little.advice) == (False, "free some space: a run takes up to 5.0 GB")
    usage.free = 1e6
    assert checks.disk("run folders", tmp_path / "not" / "there").broken

    def refuse(**_: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(checks.tempfile, "NamedTemporaryFile", refuse)
    assert "cannot be written (Permission denied)" in checks.disk("run folders", tmp_path).advice


def test_the_program_cache(tmp_path: Path) -> None:
    before = jax.config.values["jax_compilation_cache_dir"]
    try:
        jax.config.update("jax_compilation_cache_dir", None)
        assert "JAX_COMPILATION_CACHE_DIR" in checks.compilation_cache().found
        jax.config.update("jax_compilation_cache_dir", str(tmp_path))
        assert str(tmp_path) in checks.compilation_cache().found
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


@pytest.mark.parametrize(
    ("features", "found", "advises"),
    [
        ({"avx2", "avx512_bf16", "fma"}, "avx2, avx512_bf16", True),
        ({"avx2"}, "avx2", False),
        ({"sse"}, "none of avx2", False),
        (None, "not known", False),
    ],
)
def test_the_processor(features: set[str] | None, found: str, advises: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "processor_features", lambda: features)
    check = checks.processor()
    assert found in check.found
    assert ("--precision bfloat16" in check.advice) is advises


def test_memory_of_a_control_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_group_limit", lambda: 1_000_000_000)
    check = checks.memory()
    assert check.found == "1.0 GB of 1.0 GB free"
    assert "--batch-size" in check.advice


def test_models_that_do_not_load_or_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "manifest.json").write_text('{"files": {"config.json": {"size": 1, "sha256": ""}}}', "utf-8")
    monkeypatch.setattr("ulmfit_jax.pretrained.shipped_models", lambda: {"wikipedia-small-forward": tmp_path})
    (check,) = checks.models()
    assert check.broken
    assert "config.json is missing" in check.advice
    monkeypatch.setattr("ulmfit_jax.pretrained.shipped_models", dict)
    (check,) = checks.models()
    assert (check.broken, "ulmfit pretrain" in check.advice) == (False, True)
