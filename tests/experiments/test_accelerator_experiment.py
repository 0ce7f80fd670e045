"""`experiments/accelerator.py` from packed tokens to model folders, on some documents drawn at random."""

from __future__ import annotations

import argparse
import json
import lzma
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scripts import imported

from ulmfit_jax import LanguageModel, TextClassifier
from ulmfit_jax.errors import DataError
from ulmfit_jax.nn.architecture import PRESETS

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def experiment() -> ModuleType:
    return imported("accelerator")


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reviews of two classes that use different words, some of the unsupervised ones among the test reviews."""
    folder = tmp_path_factory.mktemp("packed")
    random = np.random.default_rng(0)

    def write(name: str, classes: np.ndarray) -> None:
        documents = [
            np.append(2, 20 + 50 * label + random.integers(0, 50, random.integers(20, 60))) for label in classes
        ]
        (folder / f"{name}.u16.xz").write_bytes(lzma.compress(np.concatenate(documents).astype(np.uint16).tobytes()))

    for name, count in (("wikipedia-0", 60), ("wikipedia-valid", 40), ("imdb-unsupervised", 40)):
        write(name, np.arange(count) % 2)
    for split, count in (("train", 40), ("test", 24)):
        classes = (np.arange(count) % 2).astype(np.int8)
        np.save(folder / f"imdb-{split}-labels.npy", classes)
        np.save(folder / f"imdb-{split}-in-test.npy", np.arange(count) < 2)
        write(f"imdb-{split}", classes)
    np.save(folder / "imdb-unsupervised-in-test.npy", np.arange(40) < 3)
    return folder


def run(experiment: ModuleType, monkeypatch: pytest.MonkeyPatch, *words: str) -> argparse.Namespace:
    monkeypatch.setattr(sys, "argv", ["accelerator.py", *words])
    options = experiment.arguments()
    experiment.main()
    return options


def test_all_commands_one_after_the_other(
    experiment: ModuleType, tokens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(experiment, "BUCKETS", (2,))
    sizes = PRESETS["tiny"]
    work = ["--tokens", str(tokens), "--work", str(tmp_path / "work"), "--batch-size", "8", "--precision", "float32"]
    stages = ["--stages", "1", "0", "0", "1"]
    run(experiment, monkeypatch, "pretrain", *work, "--preset", "tiny", "--parts", "1")
    run(experiment, monkeypatch, "fine-tune", *work)
    for direction in ("forward", "backward"):
        run(experiment, monkeypatch, "classify", *work, *stages, "--direction", direction)
    run(experiment, monkeypatch, "ensemble", *work)
    run(experiment, monkeypatch, "distil", *work, "--least-sure", "0.5", "--stages", "1", "0", "0", "1")
    results = json.loads((tmp_path / "work" / "results.json").read_text("utf-8"))
    assert results["test error"]["documents"] == 24
    assert results["test error, distilled"]["labelled"] == 37  # 40 less 3 that are test reviews
    with np.load(tmp_path / "work" / "test.npz") as answers:
        mean = (answers["forward"] + answers["backward"]) / 2
    np.testing.assert_allclose(mean.sum(axis=1), 1, rtol=1e-5)
    assert results["test error"]["both"] == (mean.argmax(axis=1) != np.arange(24) % 2).mean()
    with np.load(tmp_path / "work" / "imdb.npz") as arrays:
        assert arrays["forward/encoder/embedding"].shape == (8_192, sizes["embedding_size"])

    capsys.readouterr()
    run(experiment, monkeypatch, "classify", *work)
    assert "is there" in capsys.readouterr().out

    told = results.pop("test error, distilled")  # as if it had been broken off before the test
    (tmp_path / "work" / "results.json").write_text(json.dumps(results), "utf-8")
    run(experiment, monkeypatch, "distil", *work, "--least-sure", "0.5", "--stages", "1", "0", "0", "1")
    results = json.loads((tmp_path / "work" / "results.json").read_text("utf-8"))
    assert results["test error, distilled"]["forward"] == told["forward"]

    models = tmp_path / "models"
    run(experiment, monkeypatch, "models", "--work", str(tmp_path / "work"), "--out", str(models), "--tokenizer",
        str(REPOSITORY / "checkpoints" / "wikipedia-small-forward"))  # fmt: skip
    assert {folder.name for folder in models.iterdir()} == {
        "wikipedia-tiny-forward", "wikipedia-tiny-backward", "imdb-tiny-forward", "imdb-tiny-backward",
        "imdb-tiny-classifier-forward", "imdb-tiny-classifier-backward", "imdb-tiny-distilled-forward",
    }  # fmt: skip
    assert LanguageModel.load(models / "imdb-tiny-backward").artifact.backwards
    about = LanguageModel.load(models / "wikipedia-tiny-forward").artifact.provenance
    assert about["text"].startswith("parts 1 to 1 of 8")
    assert set(TextClassifier.load(models / "imdb-tiny-distilled-forward").predict(["good", "bad"])) <= {"neg", "pos"}


def test_what_is_not_packed_is_named(experiment: ModuleType, tokens: Path, tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(DataError, match=r"wikipedia-1\.u16\.xz is missing"):
        run(experiment, monkeypatch, "pretrain", "--tokens", str(tokens), "--work", str(tmp_path), "--parts", "2")
