"""Temperature scaling: its optimum, what it leaves alone, and its place in model folders."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from artifact.small_models import model
from ulmfit_jax import ArtifactError, DataError, TextClassifier
from ulmfit_jax.artifact import save_artifact
from ulmfit_jax.artifact.manifest import write_manifest
from ulmfit_jax.ensemble import Ensemble, load_classifier
from ulmfit_jax.inference.temperature import expected_calibration_error, fitted_temperature, tempered

TEXTS = [
    f"a {word} film and a {other} day {number}" for number in range(10) for word in ("good", "bad") for other in "ab"
]
LABELS = ["good" if number % 3 else "bad" for number in range(len(TEXTS))]


def sure(factor: float = 400.0) -> TextClassifier:
    """A classifier of random weights that is very sure, and right as often as chance."""
    artifact = model("classifier")
    parameters = jax.tree.map(np.array, artifact.parameters)
    parameters["head"]["dense_1"]["kernel"] *= factor
    classifier = TextClassifier(devices=1)
    classifier._keep(replace(artifact, parameters=parameters))
    return classifier


def drawn(count: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    scores = random.normal(size=(count, classes)) * 4
    truth = np.array(
        [
            random.choice(classes, p=row)
            for row in tempered(scores, 2.5).astype(np.float64)
            / tempered(scores, 2.5).astype(np.float64).sum(axis=1, keepdims=True)
        ]
    )
    return scores, truth


@pytest.mark.parametrize("classes", [2, 5])
def test_the_temperature_is_the_optimum_of_the_likelihood(classes: int) -> None:
    scores, truth = drawn(3000, classes)

    def loss(temperature: float) -> float:
        scaled = scores / temperature
        return float((np.logaddexp.reduce(scaled, axis=1) - scaled[np.arange(len(truth)), truth]).mean())

    found = fitted_temperature(scores, truth)
    assert found == pytest.approx(minimize_scalar(loss, bounds=(0.1, 10), method="bounded").x, rel=1e-4)
    assert found == pytest.approx(2.5, rel=0.1)


def test_without_an_optimum_it_is_a_bound() -> None:
    scores, _ = drawn(50, 3)
    assert fitted_temperature(scores, scores.argmax(axis=1)) == pytest.approx(0.01, rel=1e-6)
    assert fitted_temperature(scores, scores.argmin(axis=1)) == pytest.approx(100, rel=1e-6)


@given(
    st.lists(st.lists(st.floats(-1e4, 0, width=32), min_size=3, max_size=3), min_size=1, max_size=8),
    st.floats(0.01, 100),
)
def test_no_temperature_changes_an_answer(rows: list[list[float]], temperature: float) -> None:
    scores = np.array(rows, np.float32)
    found = tempered(scores, temperature)
    np.testing.assert_array_equal(found.argmax(axis=1), scores.argmax(axis=1))
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)


def test_the_expected_calibration_error_by_hand() -> None:
    scores, truth = drawn(500, 3)
    probabilities = tempered(scores, 1.0)
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    expected = 0.0
    for number in range(15):
        rows = [row for row in range(500) if number == min(int(sure[row] * 15), 14)]
        if rows:
            expected += len(rows) / 500 * abs(float(np.mean(sure[rows])) - float(np.mean(right[rows])))
    assert expected_calibration_error(probabilities, truth) == pytest.approx(expected, abs=1e-6)


def test_a_classifier_that_is_too_sure(tmp_path: Path) -> None:
    classifier = sure()
    before, labels = classifier.predict_proba(TEXTS), classifier.predict(TEXTS)
    sureness = classifier.explain(TEXTS[0]).probability
    figures = classifier.calibrate(TEXTS, LABELS)
    assert figures["temperature"] == classifier.temperature > 2
    assert figures["ece"] < figures["ece_before"] / 2
    assert figures["loss"] < figures["loss_before"]
    assert figures["loss"] == pytest.approx(classifier.evaluate(TEXTS, LABELS)["loss"])
    after = classifier.predict_proba(TEXTS)
    np.testing.assert_array_equal(classifier.predict(TEXTS), labels)
    assert after.max(axis=1).mean() < before.max(axis=1).mean()
    explained = classifier.explain(TEXTS[0])
    assert explained.probability == pytest.approx(after[0].max(), abs=1e-5)
    assert explained.probability < sureness
    classifier.save(tmp_path / "model")
    loaded = TextClassifier.load(tmp_path / "model", devices=1)
    assert loaded.temperature == classifier.temperature
    np.testing.assert_array_equal(loaded.predict_proba(TEXTS), after)
    assert f"temperature: {figures['temperature']}" in (tmp_path / "model" / "README.md").read_text()
    again = loaded.calibrate(TEXTS, LABELS)
    assert again["temperature"] == pytest.approx(figures["temperature"], rel=1e-6)
    assert again["ece_before"] == pytest.approx(figures["ece"], abs=1e-6)


def test_an_ensemble_calibrates_the_mean(tmp_path: Path) -> None:
    ensemble = Ensemble([sure(), sure(100.0)])
    before, labels = ensemble.predict_proba(TEXTS), ensemble.predict(TEXTS)
    mean = np.mean([member.predict_proba(TEXTS) for member in ensemble.members], axis=0)
    np.testing.assert_allclose(before, mean, atol=1e-6)
    figures = ensemble.calibrate(TEXTS, LABELS)
    assert figures["loss"] < figures["loss_before"]
    assert [member.temperature for member in ensemble.members] == [1, 1]
    np.testing.assert_array_equal(ensemble.predict(TEXTS), labels)
    ensemble.save(tmp_path / "both")
    loaded = load_classifier(tmp_path / "both", devices=1)
    assert loaded.temperature == figures["temperature"]
    np.testing.assert_array_equal(loaded.predict_proba(TEXTS), ensemble.predict_proba(TEXTS))


def test_mistakes_are_named() -> None:
    with pytest.raises(DataError, match="there are no texts to calibrate on"):
        sure().calibrate([], [])
    with pytest.raises(DataError, match="'superb', which the model does not know"):
        sure().calibrate(["a"], ["superb"])
    with pytest.raises(ArtifactError, match="not trained yet"):
        TextClassifier().calibrate(["a"], ["good"])


@pytest.mark.parametrize("temperature", [0, -1.0, 1e-9, 1e9, float("nan"), float("inf"), True, "1", None, [1.0], {}])
def test_hostile_temperatures_are_refused(temperature: Any, tmp_path: Path) -> None:
    save_artifact(model("classifier"), tmp_path / "model")
    Ensemble([TextClassifier.load(tmp_path / "model", devices=1)]).save(tmp_path / "both")
    for folder, place in (("model", "settings"), ("both", None)):
        file = tmp_path / folder / "config.json"
        config = json.loads(file.read_text("utf-8"))
        (config if place is None else config[place])["temperature"] = temperature
        file.write_text(json.dumps(config), "utf-8")
        (tmp_path / folder / "manifest.json").unlink()
        write_manifest(tmp_path / folder)
        with pytest.raises(ArtifactError, match=r"a temperature that is no number from 0\.01 to 100"):
            load_classifier(tmp_path / folder, devices=1)


def test_hostile_types_of_labels_are_refused(tmp_path: Path) -> None:
    for number, kind in enumerate(("int", "bool", "complex", 1, ["int"])):
        folder = tmp_path / f"model-{number}"
        save_artifact(replace(model("classifier"), settings={"bptt": 8, "label_type": kind}), folder)
        with pytest.raises(ArtifactError, match="label_type"):
            TextClassifier.load(folder)
