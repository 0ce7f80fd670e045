"""The finder on the faces: which layers train, and what it starts from."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from reviews import reviews
from ulmfit_jax import LanguageModel, TextClassifier, learning_rates
from ulmfit_jax.cli import found_rates
from ulmfit_jax.cli.training_run import TrainingRun
from ulmfit_jax.data import TextDataset
from ulmfit_jax.training.lr_finder import LearningRates

TEXTS, LABELS = reviews(60)


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The first layer group of each search, none of which is done."""
    found: list[int] = []
    monkeypatch.setattr(learning_rates, "find_learning_rate", lambda *_, group, **__: found.append(group))
    return found


def test_layers_are_counted_from_the_last(groups: list[int]) -> None:
    classifier = TextClassifier(None, "tiny", lm_epochs=0, devices=1)
    learning_rates.classifier_rates(classifier, TEXTS, LABELS)
    for layers in (1, 2, 5, None):
        learning_rates.classifier_rates(classifier, TEXTS, LABELS, layers=layers)
    assert groups == [4, 4, 3, 0, 0]  # embedding, three LSTM layers, head
    groups.clear()
    for layers in (None, 1, 3):
        learning_rates.language_model_rates(LanguageModel(None, "tiny", devices=1), TEXTS, layers=layers)
    assert groups == [0, 3, 1]  # three LSTM layers, embedding and decoder


@pytest.mark.parametrize("is_fine_tuned", [False, True])
def test_the_report_s_curve_is_of_the_classifier_that_is_trained(
    is_fine_tuned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def rates(model: TextClassifier, *_: Any, **__: Any) -> LearningRates:
        asked.append(model.get_params())
        return LearningRates(
            tuple(1e-7 * 1.2**step for step in range(100)), tuple(9 - step / 20 for step in range(100))
        )

    monkeypatch.setattr(learning_rates, "classifier_rates", rates)
    run = TrainingRun(str(tmp_path / "run"), "train", {})
    fine_tuned = tmp_path / "run" / "language_model" / "model"
    if is_fine_tuned:
        fine_tuned.mkdir(parents=True)
        (fine_tuned / "manifest.json").touch()
    model = TextClassifier(None, "tiny", pool_layers="last", drop_mult=0.25, class_weight="balanced")
    data = TextDataset(TEXTS, LABELS, "made up")
    curve = found_rates.found_rates(argparse.Namespace(workers=1), model, data, run)
    assert len(curve["rates"]) == len(curve["losses"]) == 100
    (found,) = asked
    assert (found["pool_layers"], found["drop_mult"], found["class_weight"]) == ("last", 0.25, "balanced")
    expected = (fine_tuned, None, 0) if is_fine_tuned else (None, "tiny", 0)
    assert (found["pretrained"], found["preset"], found["lm_epochs"]) == expected
