"""A tiny data set in the form of IMDb."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow_datasets as tfds
from scripts import imported

from reviews import reviews
from ulmfit_jax import LanguageModel
from ulmfit_jax.data import read_dataset
from ulmfit_jax.training import mapping

IN_TEST_TOO = "This review stands in the test set and among the unsupervised ones."


class ImdbReviews(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="plain_text")]  # noqa: RUF012
    name = "imdb_reviews"

    def _info(self):
        label = tfds.features.ClassLabel(names=["neg", "pos"])
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict({"label": label, "text": tfds.features.Text()})
        )

    def _split_generators(self, manager):
        def labelled(count, seed):
            rows = zip(*reviews(count, seed=seed), strict=True)
            return enumerate({"text": text, "label": {"bad": 0, "good": 1}[label]} for text, label in rows)

        def extended(rows):
            yield from rows
            yield -1, {"text": IN_TEST_TOO, "label": 0}

        return {
            "train": labelled(80, 1),
            "test": extended(labelled(30, 2)),
            "unsupervised": extended((key, {**row, "label": -1}) for key, row in labelled(60, 3)),
        }

    def _generate_examples(self):
        raise NotImplementedError


@pytest.fixture(autouse=True)
def _one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripts use all devices that there are; four fake ones on two cores take half as long again."""
    first = mapping.available_devices()[:1]
    monkeypatch.setattr(mapping, "available_devices", lambda: first)


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """What an experiment prints, by lines: `(its name, arguments …)`."""

    def run(name: str, *given: str | Path) -> list[str]:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *map(str, given)])
        imported(name).main()
        return capsys.readouterr().out.splitlines()

    return run


@pytest.fixture(scope="session")
def language_model(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("language_model")
    texts = read_dataset("tfds:imdb_reviews:train", data_dir=str(data_dir)).texts
    LanguageModel(None, "tiny", epochs=1, batch_size=8, devices=1).fit(texts).save(folder / "model")
    return folder / "model"


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("tensorflow_datasets")
    ImdbReviews(data_dir=root, file_format="array_record").download_and_prepare()
    return root
