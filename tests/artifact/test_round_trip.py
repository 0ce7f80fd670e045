from __future__ import annotations

import dataclasses
from pathlib import Path

import jax
import numpy as np
import pytest
from small_models import KINDS, TOKENIZER, model

from ulmfit_jax import ConfigError
from ulmfit_jax.artifact import Artifact, load_artifact, save_artifact
from ulmfit_jax.artifact.arrays import read_arrays
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.nn.parameters import Tree, flatten
from ulmfit_jax.training.classifier import classifier_definition
from ulmfit_jax.training.document_scores import Reading, scoring_pass
from ulmfit_jax.training.mapping import Devices


def assert_same_arrays(found: Tree, expected: Tree) -> None:
    assert list(flatten(found)) == list(flatten(expected))
    for path, leaf in flatten(expected).items():
        assert type(flatten(found)[path]) is np.ndarray
        assert flatten(found)[path].dtype == np.float32
        np.testing.assert_array_equal(flatten(found)[path], leaf, err_msg=path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_comes_back_bit_for_bit(tmp_path: Path, kind: str) -> None:
    original = model(kind)
    save_artifact(original, tmp_path / "model")
    restored = load_artifact(tmp_path / "model", kind)
    assert_same_arrays(restored.parameters, original.parameters)
    assert_same_arrays(restored.statistics, original.statistics)
    for field in ("kind", "architecture", "labels", "head", "backwards", "settings"):
        assert getattr(restored, field) == getattr(original, field), field
    assert restored.provenance.items() >= original.provenance.items()
    assert restored.tokenizer.fingerprint() == TOKENIZER.fingerprint()
    np.testing.assert_array_equal(restored.tokenizer.encode("a good day"), TOKENIZER.encode("a good day"))


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_rounds_once(tmp_path: Path, kind: str) -> None:
    original = model(kind)
    save_artifact(original, tmp_path / "half", half_precision=True)
    once = load_artifact(tmp_path / "half")
    rounded = jax.tree.map(lambda leaf: leaf.astype(np.float16).astype(np.float32), original.parameters)
    assert_same_arrays(once.parameters, rounded)
    save_artifact(once, tmp_path / "again", half_precision=True)
    assert_same_arrays(load_artifact(tmp_path / "again").parameters, rounded)


def test_half_precision_takes_half_the_space(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(400, 100)).astype(np.float32)
    wide = dataclasses.replace(model("encoder"), parameters={"encoder": {"embedding": values}})
    for half in (False, True):
        save_artifact(wide, tmp_path / str(half), half_precision=half)
    whole, half_size = (
        sum(file.stat().st_size for file in (tmp_path / name / "parameters").rglob("*") if file.is_file())
        for name in ("False", "True")
    )
    assert half_size < 0.6 * whole


def test_fewer_bits_of_mantissa_take_less_space_and_change_each_number_little(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(400, 100)).astype(np.float32)
    values[0, :4] = 0.0, 1.0, -1.0, 2.0**-20
    parameters = {"encoder": {"embedding": values, "bias": values[1]}}
    encoder = dataclasses.replace(model("encoder"), parameters=parameters)
    sizes, found = {}, {}
    for bits in (None, 5, 3):
        save_artifact(encoder, tmp_path / str(bits), half_precision=True, mantissa_bits=bits)
        files = (tmp_path / str(bits) / "parameters").rglob("*")
        sizes[bits] = sum(file.stat().st_size for file in files if file.is_file())
        found[bits] = read_arrays(tmp_path / str(bits))["parameters"]["encoder"]
    assert sizes[3] < sizes[5] < sizes[None]
    assert sizes[3] < 0.7 * sizes[None]
    for bits in (5, 3):
        np.testing.assert_allclose(found[bits]["embedding"], values, rtol=2.0 ** -(bits + 1), atol=1e-7)
        assert found[bits]["embedding"][0, :4].tolist() == values[0, :4].tolist()
        np.testing.assert_array_equal(found[bits]["bias"], values[1].astype(np.float16).astype(np.float32))
        # 8 or 32 numbers between a power of two and the next one
        between = np.abs(found[bits]["embedding"][(values > 1) & (values < 2)])
        assert np.unique(between).size == 2**bits + 1
    for bits in (0, 24):
        with pytest.raises(ConfigError, match=f"mantissa_bits is {bits}: give a number from 1 to 23"):
            save_artifact(encoder, tmp_path / "none", mantissa_bits=bits)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("devices", [1, 4])
def test_a_restored_classifier_answers_alike_on_any_number_of_devices(tmp_path: Path, devices: int) -> None:
    original = model("classifier")
    save_artifact(original, tmp_path / "model")
    restored = load_artifact(tmp_path / "model")
    random = np.random.default_rng(0)
    documents = Corpus.from_arrays([random.integers(2, 15, length) for length in (8, 7, 5, 4)])

    def answers(artifact: Artifact, machines: Devices) -> np.ndarray:
        assert artifact.head is not None
        definition = classifier_definition(artifact.architecture, artifact.head)
        scores = scoring_pass(definition, artifact.architecture, artifact.head, machines, Reading(4))
        return scores(machines.replicate(artifact.parameters), machines.replicate(artifact.statistics), documents)

    np.testing.assert_allclose(answers(restored, Devices(devices)), answers(original, Devices(1)), atol=1e-5)


def test_the_folder_has_a_card_and_no_pickles(tmp_path: Path) -> None:
    save_artifact(model("classifier"), tmp_path / "reviews")
    card = (tmp_path / "reviews" / "README.md").read_text("utf-8")
    for said in ("# reviews", "A classifier", "backwards", "bad, good", "made up", 'TextClassifier.load("reviews")'):
        assert said in card
    for file in (tmp_path / "reviews").rglob("*"):
        assert file.suffix not in {".pkl", ".pickle", ".pt", ".pth", ".npy"}
        assert not (file.is_file() and file.read_bytes().startswith((b"\x80\x04", b"\x80\x05"))), file


def test_a_model_is_replaced_by_the_next_one(tmp_path: Path) -> None:
    save_artifact(model("language_model"), tmp_path / "model")
    save_artifact(model("classifier"), tmp_path / "model")
    assert load_artifact(tmp_path / "model").kind == "classifier"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_an_empty_folder_is_a_place_for_a_model(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    save_artifact(model("encoder"), tmp_path / "model")
    assert load_artifact(tmp_path / "model", "encoder").kind == "encoder"
