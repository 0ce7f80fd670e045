from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from scripts import imported

from ulmfit_jax import Ensemble, LanguageModel
from ulmfit_jax.answers import Texts
from ulmfit_jax.data import read_dataset
from ulmfit_jax.errors import ConfigError


def options(data_dir: Path, out: Path, language_models: list[Path]) -> argparse.Namespace:
    return argparse.Namespace(
        data_dir=str(data_dir),
        out=out,
        language_model=language_models,
        sizes=[8, 40],
        draws=1,
        test_docs=20,
        self_training=30,
        co_training=40,
        without=[],
        recipe="fine_tune",
        drop_mult=0.5,
        adversarial=0.0,
        precision=None,
    )


def test_probes_share_vectors_and_answer_as_classifiers_do(
    data_dir: Path, tmp_path: Path, language_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = imported("low_shot")
    monkeypatch.setattr(experiment, "SHIPPED_PAIR", (language_model, language_model))
    chosen = options(data_dir, tmp_path / "out", [language_model])
    chosen.recipe, chosen.self_training, chosen.without, chosen.sizes = "linear_probe", 0, ["supervised"], [40]
    first = experiment.LowShot(chosen)
    first.run()
    assert "with co-trained n-grams/40/0" in first.cells
    read = len(first.vectors[language_model])
    assert 60 <= read <= 20 + 40 + 48  # the test, the unlabelled and those that the n-grams ask about

    class Plain(experiment.TextClassifier):
        vectors: dict[str, np.ndarray]

    monkeypatch.setattr(experiment, "Probe", Plain)
    chosen.out = tmp_path / "plain"
    second = experiment.LowShot(chosen)
    second.run()
    assert second.cells == first.cells


def test_two_language_models_answer_with_their_mean(
    data_dir: Path, tmp_path: Path, language_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, backward, answers = imported("low_shot"), tmp_path / "backward", []
    texts = read_dataset("tfds:imdb_reviews:train", data_dir=str(data_dir)).texts
    LanguageModel(None, "tiny", epochs=1, batch_size=8, devices=1, backwards=True).fit(texts).save(backward)

    class Heard(Ensemble):
        def log_probabilities(self, texts: Texts) -> np.ndarray:
            answers.append(np.exp(super().log_probabilities(texts)))
            return np.log(answers[-1])

    monkeypatch.setattr(experiment, "Ensemble", Heard)
    for number, folders in enumerate(([language_model], [backward], [language_model, backward])):
        chosen = options(data_dir, tmp_path / str(number), folders)
        chosen.recipe, chosen.self_training, chosen.co_training = "linear_probe", 0, 0
        chosen.without, chosen.sizes = ["supervised"], [40]
        experiment.LowShot(chosen).run()
    with pytest.raises(ConfigError, match="two that read in different directions"):
        experiment.LowShot(options(data_dir, tmp_path / "twice", [backward, backward]))
    forwards, backwards, both = answers
    assert not np.allclose(forwards, backwards, atol=1e-3)
    np.testing.assert_allclose(both, (forwards + backwards) / 2, rtol=1e-5)


def test_every_cell_is_measured_once_and_told(
    data_dir: Path, tmp_path: Path, language_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib", reason="the plot needs pip install '.[plots]'")
    experiment = imported("low_shot")
    monkeypatch.setattr(experiment, "SHIPPED_PAIR", (language_model, language_model))
    chosen = options(data_dir, tmp_path / "out", [language_model])
    chosen.sizes = [40]
    first = experiment.LowShot(chosen)
    first.run()
    kept = json.loads((tmp_path / "out" / "cells.json").read_text("utf-8"))["results"]
    methods = ["TF-IDF", "supervised", "semi-supervised", "with n-grams", "with co-trained n-grams"]
    methods += ["self-trained, 30 reviews", "self-trained with n-grams, 30 reviews"]
    assert kept.keys() == {f"{method}/40/0" for method in methods}
    for error in kept.values():
        assert (error * 20).is_integer()  # so many of 20 reviews
    assert kept["supervised/40/0"] == kept["semi-supervised/40/0"]  # both start from the same weights here
    assert kept["with n-grams/40/0"] < 0.4  # the words tell
    assert not (tmp_path / "out" / "runs").exists()
    monkeypatch.setattr(experiment, "TextClassifier", None)
    again = experiment.LowShot(chosen)
    again.run()
    assert again.cells == kept
    lines = again.table().splitlines()
    assert lines[0] == f"| labels | {' | '.join(methods)} |"
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| 40"]
    again.plot(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
