"""`ulmfit calibrate` changes a model folder's probabilities and no label; what can be no `--class-weight`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import Outcome, Trained, reviews, write_csv

from ulmfit_jax.ensemble import load_classifier
from ulmfit_jax.inference.temperature import expected_calibration_error

Run = Callable[..., Outcome]


@pytest.fixture
def folder(trained: Trained, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained.out, tmp_path / "run"))


def test_the_figures_are_those_of_the_folder_that_it_leaves(folder: Path, trained: Trained, ulmfit: Run) -> None:
    texts, labels = zip(*reviews(20, 2), strict=True)
    before = load_classifier(folder, devices=1)
    probabilities, answers = before.predict_proba(texts), before.predict(texts)
    figures = ulmfit("calibrate", folder, trained.test, "--json", "--devices", "1").json
    after = load_classifier(folder, devices=1)
    assert after.temperature == pytest.approx(figures["temperature"]) != 1
    assert after.predict(texts).tolist() == answers.tolist()
    assert not np.allclose(after.predict_proba(texts), probabilities, atol=1e-4)
    truth = np.array([after.class_names.index(label) for label in labels])
    assert figures["ece_before"] == pytest.approx(expected_calibration_error(probabilities, truth), abs=1e-6)
    assert figures["ece"] == pytest.approx(expected_calibration_error(after.predict_proba(texts), truth), abs=1e-6)
    assert figures["loss"] <= figures["loss_before"]
    assert (figures["n"], figures["data"]) == (20, str(trained.test))
    evaluated = ulmfit("evaluate", folder, trained.test, "--json", "--devices", "1").json
    assert evaluated["loss"] == pytest.approx(figures["loss"], rel=1e-4)
    assert evaluated["ece"] == pytest.approx(figures["ece"], abs=1e-5)
    outcome = ulmfit("calibrate", folder, trained.test)
    assert f"temperature {figures['temperature']:.3f}" in outcome.out
    assert "20 texts say little of a temperature" in outcome.err


def test_a_temperature_far_from_1_is_remarked_upon(
    folder: Path, ulmfit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = {"temperature": 0.03, "ece_before": 0.3, "ece": 0.1, "loss_before": 0.6, "loss": 0.2, "n": 20}
    monkeypatch.setattr("ulmfit_jax.text_classifier.TextClassifier.calibrate", lambda *_: figures)
    outcome = ulmfit("calibrate", folder, write_csv(tmp_path / "held-out.csv", reviews(20, 5)))
    assert outcome.code == 0, outcome.err
    assert "a temperature so far from 1 is rare" in outcome.err
    assert "has grown" not in outcome.err


@pytest.mark.parametrize(("ece", "has_grown"), [(0.1006, True), (0.10003, False), (0.09, False)])
def test_a_calibration_error_that_has_grown_is_remarked_upon(
    ece: float, has_grown: bool, folder: Path, ulmfit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = {"temperature": 1.1, "ece_before": 0.1, "ece": ece, "loss_before": 0.6, "loss": 0.5, "n": 20}
    monkeypatch.setattr("ulmfit_jax.text_classifier.TextClassifier.calibrate", lambda *_: figures)
    outcome = ulmfit("calibrate", folder, write_csv(tmp_path / "held-out.csv", reviews(20, 5)))
    assert ("15 bins, has grown here" in outcome.err) == has_grown


def test_texts_that_were_trained_on_are_refused(folder: Path, trained: Trained, ulmfit: Run) -> None:
    outcome = ulmfit("calibrate", folder, trained.train, "--devices", "1")
    said = f"{trained.train} holds the very texts that the model was trained on"
    assert (outcome.code, said in outcome.err) == (2, True)
    assert load_classifier(folder, devices=1).temperature == 1


def test_measuring_on_the_training_texts_is_remarked_upon(trained: Trained, ulmfit: Run) -> None:
    said = "holds the very texts that the model was trained on"
    for data, expected in ((trained.train, True), (trained.test, False)):
        outcome = ulmfit("evaluate", trained.out, data, "--devices", "1")
        assert (outcome.code, said in outcome.err, said in outcome.out) == (0, expected, False)


def test_the_temperature_is_taken_back(folder: Path, trained: Trained, ulmfit: Run) -> None:
    texts = [text for text, _ in reviews(20, 2)]
    before = load_classifier(folder, devices=1).predict_proba(texts)
    temperature = ulmfit("calibrate", folder, trained.test, "--devices", "1", "--json").json["temperature"]
    assert ulmfit("calibrate", folder, "--reset").out == f"temperature 1.000, before {temperature:.3f}\n"
    after = load_classifier(folder, devices=1)
    assert after.temperature == 1
    assert "calibration" not in after.artifact.provenance
    np.testing.assert_array_equal(after.predict_proba(texts), before)


def test_a_shipped_model_stays_as_it_is(
    folder: Path, trained: Trained, ulmfit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = Path(shutil.copytree(folder / "model", tmp_path / "checkpoints" / "films"))
    monkeypatch.setattr("ulmfit_jax.pretrained._PLACES", (shipped.parent,))
    before = {path: path.read_bytes() for path in shipped.rglob("*") if path.is_file()}
    for arguments in (["films", trained.test], [shipped, trained.test], ["films", "--reset"]):
        refused = ulmfit("calibrate", *arguments, "--devices", "1")
        assert (refused.code, "stays as it is: give --out DIR" in refused.err) == (2, True)
    figures = ulmfit("calibrate", "films", trained.test, "--out", tmp_path / "own", "--json", "--devices", "1").json
    assert figures["model"] == str(tmp_path / "own")
    assert load_classifier(tmp_path / "own", devices=1).temperature == pytest.approx(figures["temperature"])
    assert {path: path.read_bytes() for path in shipped.rglob("*") if path.is_file()} == before
    told = ulmfit("calibrate", "films", "--reset", "--out", tmp_path / "reset").out
    assert told.startswith("temperature 1.000")
    assert (
        f"model       {tmp_path / 'new'}\n" in ulmfit("calibrate", "films", trained.test, "--out", tmp_path / "new").out
    )
    for arguments in (["films", trained.test], ["films", "--reset"]):
        refused = ulmfit("calibrate", *arguments, "--out", tmp_path / "own")
        assert (refused.code, "own exists already: choose another folder" in refused.err) == (2, True)
    assert load_classifier(tmp_path / "own", devices=1).temperature == pytest.approx(figures["temperature"])


def test_either_texts_or_reset(folder: Path, trained: Trained, ulmfit: Run) -> None:
    for arguments in (["calibrate", folder], ["calibrate", folder, trained.test, "--reset"]):
        outcome = ulmfit(*arguments)
        assert (outcome.code, "give DATA to calibrate on, or --reset" in outcome.err) == (2, True)


def test_a_mistake_leaves_the_folder_as_it_was(folder: Path, ulmfit: Run, tmp_path: Path) -> None:
    config = (folder / "model" / "config.json").read_bytes()
    strange = write_csv(tmp_path / "strange.csv", [("The film was lovely.", "superb")])
    outcome = ulmfit("calibrate", folder, strange)
    assert (outcome.code, "superb" in outcome.err) == (2, True)
    assert (folder / "model" / "config.json").read_bytes() == config


@pytest.mark.parametrize("wrong", [["balanced", "good=2"], ["good"], ["good=0"], ["good=x"], ["good=2", "good=3"]])
def test_wrong_weights_are_refused(wrong: list[str], ulmfit: Run, tmp_path: Path) -> None:
    options = [part for entry in wrong for part in ("--class-weight", entry)]
    outcome = ulmfit("train", tmp_path / "absent.csv", "--out", tmp_path / "run", *options)
    assert (outcome.code, "give 'balanced' alone, or LABEL=W" in outcome.err) == (2, True)
