"""Safetensors: the arrays as they are, and the model again."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import exported_models
import jax
import numpy as np
import pytest

pytest.importorskip("safetensors", reason="safetensors is not installed")

from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from ulmfit_jax import ArtifactError, ConfigError
from ulmfit_jax.artifact import Artifact
from ulmfit_jax.interop import export_safetensors, import_safetensors
from ulmfit_jax.nn.parameters import flatten

MODELS = {"classifier": exported_models.classifier(True), "language_model": exported_models.language_model()}


@pytest.mark.parametrize("kind", MODELS)
def test_arrays_have_their_names_and_values_and_the_model_comes_back(kind: str, tmp_path: Path) -> None:
    artifact = MODELS[kind]
    files = export_safetensors(artifact, tmp_path / "new" / "mine.safetensors")
    assert sorted(path for path in (tmp_path / "new").rglob("*") if path.is_file()) == sorted(files)
    expected = flatten(artifact.parameters) | flatten(artifact.statistics)
    stored = load_file(files[0])
    assert stored.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(stored[name], array, strict=True)
    with safe_open(files[0], framework="numpy") as content:
        assert json.loads(content.metadata()["config"]) == json.loads(json.dumps(artifact.config()))
    again = import_safetensors(files[0])
    jax.tree.map(np.testing.assert_array_equal, again.parameters, artifact.parameters)
    jax.tree.map(np.testing.assert_array_equal, again.statistics, artifact.statistics)
    assert (again.kind, again.labels, again.backwards) == (artifact.kind, artifact.labels, artifact.backwards)
    assert again.tokenizer.fingerprint() == artifact.tokenizer.fingerprint()


def test_answers_are_the_same(tmp_path: Path) -> None:
    artifact = MODELS["classifier"]
    again = import_safetensors(export_safetensors(artifact, tmp_path / "mine.safetensors")[0])
    texts = ["The kettle was lovely.", ""]
    np.testing.assert_array_equal(
        exported_models.face(again).predict_proba(texts), exported_models.face(artifact).predict_proba(texts)
    )


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return export_safetensors(MODELS["classifier"], tmp_path / "mine.safetensors")[0]


def test_a_file_cut_off_is_named(written: Path) -> None:
    written.write_bytes(written.read_bytes()[:-9])
    with pytest.raises(ArtifactError, match=r"mine\.safetensors cannot be read as safetensors .*: copy it again"):
        import_safetensors(written)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"none\.safetensors cannot be read as safetensors"):
        import_safetensors(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {"config": "{", "statistics": "[]"},
        {"config": "{}"},
        {"config": "[1]", "statistics": "[]"},
        {"config": "[" * 100_000, "statistics": "[]"},
    ],
)
def test_another_librarys_file_is_refused(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    save_file({"weight": np.zeros(3, np.float32)}, tmp_path / "theirs.safetensors", metadata)
    with pytest.raises(ArtifactError, match=r"theirs\.safetensors was not written by ulmfit export"):
        import_safetensors(tmp_path / "theirs.safetensors")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"head/dense_0/kernel": None}, "the array head/dense_0/kernel is missing"),
        ({"head/dense_0/kernel": np.zeros((2, 2), np.float32)}, r"head/dense_0/kernel has the shape \(2, 2\)"),
        ({"more": np.zeros(2, np.float32)}, "the array more has no place"),
    ],
)
def test_arrays_that_do_not_fit_are_named(written: Path, change: dict[str, np.ndarray | None], sentence: str) -> None:
    with safe_open(written, framework="numpy") as content:
        metadata = content.metadata()
    arrays = {name: array for name, array in (load_file(written) | change).items() if array is not None}
    save_file(arrays, written, metadata)
    with pytest.raises(ArtifactError, match=sentence):
        import_safetensors(written)


def test_a_model_of_another_format_version_is_refused(written: Path) -> None:
    with safe_open(written, framework="numpy") as content:
        metadata = content.metadata()
    metadata["config"] = json.dumps(json.loads(metadata["config"]) | {"format_version": 99})
    save_file(load_file(written), written, metadata)
    with pytest.raises(ArtifactError, match="format version 99"):
        import_safetensors(written)


def test_a_configuration_without_an_architecture_is_refused(written: Path) -> None:
    with safe_open(written, framework="numpy") as content:
        metadata = content.metadata()
    config = json.loads(metadata["config"])
    del config["architecture"]
    save_file(load_file(written), written, metadata | {"config": json.dumps(config)})
    with pytest.raises(ArtifactError, match=r"mine\.safetensors is not what ulmfit-jax writes .*: copy it again"):
        import_safetensors(written)


def test_nothing_is_overwritten(written: Path) -> None:
    before = written.read_bytes()
    with pytest.raises(ArtifactError, match=r"mine\.safetensors exists already: choose another name"):
        export_safetensors(MODELS["language_model"], written)
    assert written.read_bytes() == before


def test_names_and_missing_packages_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model: Artifact = MODELS["language_model"]
    with pytest.raises(ConfigError, match=r"mine\.bin is no name of a safetensors file"):
        export_safetensors(model, tmp_path / "mine.bin")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ConfigError, match=r"needs the package safetensors: install it with pip install '\.\["):
        export_safetensors(model, tmp_path / "mine.safetensors")
