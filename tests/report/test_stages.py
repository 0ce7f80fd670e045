"""Stages as their files say they were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_up import write_training

from ulmfit_jax.report.stages import finished_epochs, read_trainings
from ulmfit_jax.training.recipes import gradual_unfreezing_stages, language_model_stages, self_training_stages


def test_stages_have_their_epochs_steps_groups_and_rates(tmp_path: Path) -> None:
    write_training(tmp_path / "classifier", "classifier", gradual_unfreezing_stages(epochs=(2, 0, 1, 2)), 10)
    (record,) = read_trainings(tmp_path)
    assert record.name == "Classifier"
    head, two, everything = record.stages
    assert [len(stage.rows) for stage in record.stages] == [2, 1, 2]
    assert [(stage.first_step, stage.last_step) for stage in record.stages] == [(0, 20), (20, 30), (30, 50)]
    assert (head.groups, head.peaks) == (("head",), (2e-2,))
    assert two.groups == ("lstm_1", "lstm_2", "head")
    assert two.peaks == pytest.approx((5e-3 / 2.6**2, 5e-3 / 2.6, 5e-3))
    assert len(everything.groups) == len(everything.peaks) == 5
    assert head.seconds == 5
    assert head.points("train_loss") == [(10, 1.1), (20, 0.6)]
    assert head.points("perplexity") == []
    rates = dict(head.rates(2e-2))
    assert rates[0] == pytest.approx(2e-2 / 25)
    assert rates[5] == pytest.approx(2e-2)
    assert rates[20] == pytest.approx(2e-2 / 1e5)
    assert everything.rates(1e-3)[0] == (30, pytest.approx(1e-3 / 25))


def test_a_stage_that_ended_early_shows_what_it_did(tmp_path: Path) -> None:
    write_training(tmp_path / "language_model", "language_model", language_model_stages(4, 1), 5)
    file = tmp_path / "language_model" / "metrics.jsonl"
    file.write_text("".join(line + "\n" for line in file.read_text().splitlines()[:3]))
    (record,) = read_trainings(tmp_path)
    assert [len(stage.rows) for stage in record.stages] == [1, 2]
    assert record.stages[1].last_step == 15
    assert record.stages[1].rates(1.0)[-1] == (15, record.stages[1].stage.shape(20)(10))


def test_what_is_not_finite_is_no_point(tmp_path: Path) -> None:
    write_training(tmp_path / "classifier", "classifier", gradual_unfreezing_stages(epochs=(2, 0, 0, 0)), 10)
    file = tmp_path / "classifier" / "metrics.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[0]["train_loss"], rows[1]["valid_loss"] = float("nan"), None
    file.write_text("\n".join(map(json.dumps, rows)))
    (record,) = read_trainings(tmp_path)
    assert [x for x, _ in record.stages[0].points("train_loss")] == [20]
    assert [x for x, _ in record.stages[0].points("valid_loss")] == [10]


def test_every_round_of_self_training_is_a_training_of_its_own(tmp_path: Path) -> None:
    parts = {"classifier": 1, "self_training": 2, "self_training_2": 3, "self_training_3": 4, "further_training": 1}
    for part, epochs in parts.items():
        write_training(tmp_path / part, "classifier", self_training_stages(epochs), 10)
    assert [record.name for record in read_trainings(tmp_path)] == [
        "Classifier",
        "Self-training",
        "Self-training, round 2",
        "Self-training, round 3",
        "Further training",
    ]
    assert finished_epochs(tmp_path) == {(part, "self-training"): epochs for part, epochs in parts.items()}


def test_a_folder_without_trainings_has_none(tmp_path: Path) -> None:
    (tmp_path / "classifier").mkdir()
    assert read_trainings(tmp_path) == []
