"""`ulmfit info`: of classifiers, language models and ensembles, whole and damaged."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import jax
import pytest
from command_line import Outcome, Trained

from ulmfit_jax.artifact import load_artifact
from ulmfit_jax.artifact.manifest import write_manifest

Run = Callable[..., Outcome]


def test_a_classifier(trained: Trained, ulmfit: Run) -> None:
    outcome = ulmfit("info", trained.out, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    found, artifact = outcome.json, load_artifact(trained.out / "model")
    assert (found["kind"], found["labels"], found["damage"]) == ("classifier", ["bad", "good"], None)
    assert found["architecture"] == artifact.architecture.to_dict()
    assert found["parameters"] == sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(artifact.parameters))
    assert found["stored_as"] == ["float32"]
    assert found["bytes"] == sum(f.stat().st_size for f in (trained.out / "model").rglob("*") if f.is_file())
    assert found["provenance"]["recipe"] == "gradual_unfreezing"
    text = ulmfit("info", trained.out).out
    assert "kind            classifier\n" in text
    assert "labels          bad, good\n" in text
    assert f"parameters      {found['parameters']:,} in float32\n" in text
    assert "as saved\n" in text
    assert "last epoch" in text


def test_a_shipped_language_model_by_name(ulmfit: Run) -> None:
    text = ulmfit("info", "wikipedia-small-forward").out
    assert "kind            language model\n" in text
    assert "vocabulary      8,192 entries, sentencepiece\n" in text
    assert "reads           forwards\n" in text
    assert "in float16" in text
    assert "hardware" in text


def test_an_ensemble_and_its_damaged_member(trained: Trained, tmp_path: Path, ulmfit: Run) -> None:
    both, other = tmp_path / "both", tmp_path / "other"
    shutil.copytree(trained.out / "model", other)
    assert ulmfit("ensemble", trained.out, other, "--out", both).code == 0
    found = ulmfit("info", both, "--json").json
    assert (found["kind"], len(found["members"])) == ("ensemble", 2)
    assert found["members"][1]["kind"] == "classifier"
    (both / "member-1" / "tokenizer.json").unlink()
    outcome = ulmfit("info", both)
    assert outcome.code == 2
    assert outcome.out.count("DAMAGED") == 2  # as a file of the ensemble, and in the member
    assert "tokenizer.json is missing" in outcome.err


@pytest.mark.parametrize("folders", [[""], ["", "model"]], ids=["one", "the same twice"])
def test_an_ensemble_needs_two_classifiers(folders: list[str], trained: Trained, tmp_path: Path, ulmfit: Run) -> None:
    outcome = ulmfit("ensemble", *(trained.out / name for name in folders), "--out", tmp_path / "both")
    assert (outcome.code, outcome.out) == (2, "")
    assert "at least two classifiers, each given once" in outcome.err
    assert not (tmp_path / "both").exists()


@pytest.mark.parametrize("member", [".", "..", "/", "member-0/.."])
def test_an_ensemble_that_leads_elsewhere(member: str, trained: Trained, tmp_path: Path, ulmfit: Run) -> None:
    shutil.copytree(trained.out / "model", tmp_path / "model")
    file = tmp_path / "model" / "config.json"
    config = {**json.loads(file.read_text("utf-8")), "kind": "ensemble", "members": [member]}
    file.write_text(json.dumps(config), "utf-8")
    outcome = ulmfit("info", tmp_path / "model")
    assert (outcome.code, outcome.out) == (2, "")
    assert "outside the folder" in outcome.err


def test_a_damaged_model_is_described_and_refused(trained: Trained, tmp_path: Path, ulmfit: Run) -> None:
    model = tmp_path / "model"
    shutil.copytree(trained.out / "model", model)
    for path in (model / "parameters").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    outcome = ulmfit("info", model, "--json")
    assert outcome.code == 2
    assert outcome.json["kind"] == "classifier"
    assert outcome.json["parameters"] is None
    assert outcome.json["damage"] in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("change", [{"architecture": None}, {"labels": ...}, {"head": {}}, {"tokenizer": "x"}])
def test_a_configuration_of_something_else(
    change: dict[str, object], trained: Trained, tmp_path: Path, ulmfit: Run
) -> None:
    shutil.copytree(trained.out / "model", tmp_path / "model")
    file = tmp_path / "model" / "config.json"
    config = {**json.loads(file.read_text("utf-8")), **change}
    file.write_text(json.dumps({name: value for name, value in config.items() if value is not ...}), "utf-8")
    write_manifest(tmp_path / "model")
    outcome = ulmfit("info", tmp_path / "model")
    assert (outcome.code, outcome.out) == (2, "")
    assert "config.json is not what ulmfit-jax writes" in outcome.err


def test_no_model_there(tmp_path: Path, ulmfit: Run) -> None:
    outcome = ulmfit("info", tmp_path / "nowhere")
    assert outcome.code == 2
    assert "give a model folder or a shipped model's name" in outcome.err
    assert "is not a model folder" in ulmfit("info", tmp_path).err
