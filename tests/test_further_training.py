"""A trained classifier learns on: from labels of an ensemble, from labels of its own, with whole numbers, and again."""

from __future__ import annotations

import copy
import functools

import numpy as np
import pytest

from reviews import reviews
from ulmfit_jax import ArtifactError, ConfigError, DataError, Ensemble, TextClassifier

OPTIONS = {"preset": "tiny", "lm_epochs": 0, "learning_rate": 0.2, "batch_size": 16, "devices": 1}
HELD_OUT = reviews(100, seed=9)
FEW = reviews(40, seed=3)


@functools.cache
def trained() -> TextClassifier:
    return TextClassifier(None, **OPTIONS, epochs=(1, 0, 0, 0), validation_fraction=0).fit(*FEW)


def new_student() -> TextClassifier:
    return copy.copy(trained())


@pytest.fixture
def student() -> TextClassifier:
    return new_student()


@pytest.mark.slow
def test_a_student_comes_near_the_ensemble_whose_probabilities_it_learns(student, tmp_path):
    teacher = Ensemble([TextClassifier(None, **OPTIONS, epochs=(1, 0, 0, 10)).fit(*reviews(200))])
    before, texts = student.score(*HELD_OUT), reviews(400, seed=5)[0]
    student.calibrate(*HELD_OUT)
    answers = teacher.predict_proba(texts)
    assert student.learn_from(texts, answers, run_dir=tmp_path) is student
    assert before < 0.8 < 0.95 < teacher.score(*HELD_OUT)
    assert student.score(*HELD_OUT) > 0.85
    assert student.temperature == 1
    assert [row["stage"] for row in student.history_] == ["head"] + ["further training"] * 2
    assert set(student.seconds_) == {"language_model", "classifier", "further_training"}
    card = student.artifact.provenance
    assert (card["training"]["documents"], card["training"]["documents_before"]) == (400, 40)
    assert card["stages"] == ["head, 1 epoch", "further training, 2 epochs"]

    again = new_student().learn_from(texts, answers, run_dir=tmp_path)  # the run is finished
    np.testing.assert_array_equal(again.predict_proba(texts), student.predict_proba(texts))
    for others in (0.9 * answers + 0.05, teacher.predict(texts)):
        with pytest.raises(ConfigError, match="texts"):
            new_student().learn_from(texts, others, run_dir=tmp_path)


@pytest.mark.slow
def test_another_classifier_does_not_go_on_with_the_run(tmp_path):
    """Two heads on one encoder, which they leave as it is."""
    texts, labels = reviews(40, seed=5)
    first = new_student().learn_from(texts, labels, epochs=1, run_dir=tmp_path)
    other = TextClassifier(None, **OPTIONS, epochs=(2, 0, 0, 0), validation_fraction=0).fit(*FEW)
    encoders = (model.artifact.parameters["encoder"] for model in (new_student(), other))
    np.testing.assert_array_equal(*(encoder["embedding"] for encoder in encoders))
    with pytest.raises(ConfigError, match="that started from another model"):
        other.learn_from(texts, labels, epochs=1, run_dir=tmp_path)
    again = new_student().learn_from(texts, labels, epochs=1, run_dir=tmp_path)
    np.testing.assert_array_equal(again.predict_proba(texts), first.predict_proba(texts))


@pytest.mark.slow
def test_a_loaded_classifier_reads_documents_as_it_has_learnt_to(tmp_path):
    TextClassifier(None, **OPTIONS, epochs=(1, 0, 0, 0), bptt=20, max_length=80).fit(*FEW).save(tmp_path / "model")
    model = TextClassifier.load(tmp_path / "model", devices=1).learn_from(*FEW, epochs=1)
    assert (model.artifact.settings["bptt"], model.artifact.settings["max_length"]) == (20, 80)


def test_classes_that_the_new_texts_lack_weigh_nothing():
    texts, labels = reviews(20, seed=5)
    good = [text for text, label in zip(texts, labels, strict=True) if label == "good"]
    model = new_student().set_params(class_weight="balanced")
    model.learn_from(good, ["good"] * len(good), epochs=1)
    assert model.artifact.provenance["training"]["class_weights"] == {"bad": 1.0, "good": 1.0}


@pytest.mark.slow
def test_what_is_learnt_of_probabilities_are_these(tmp_path):
    texts, labels = reviews(200)
    student = new_student()
    unsure = np.where(np.array(labels)[:, None] == student.classes_[None], 0.7, 0.3)
    student.learn_from(texts, unsure.tolist(), epochs=20)
    assert student.predict_proba(HELD_OUT[0]).max(axis=1).mean() == pytest.approx(0.7, abs=0.05)
    assert student.score(*HELD_OUT) > 0.9


@pytest.mark.slow
def test_a_loaded_classifier_measures_on_new_texts_that_it_holds_out(tmp_path):
    texts, labels = reviews(60)
    numbers = [int(label == "good") for label in labels]
    TextClassifier(None, **OPTIONS, epochs=(1, 0, 0, 0)).fit(texts, numbers).save(tmp_path / "model")
    model = TextClassifier.load(tmp_path / "model", devices=1).set_params(batch_size=16)
    before = model.artifact.parameters["encoder"]
    model.learn_from(texts, numbers, epochs=2, learning_rate=0.01, lr_mult=1)
    assert [row["stage"] for row in model.history_] == ["further training"] * 2
    assert all(0 <= row["error_rate"] <= 1 for row in model.history_)
    assert np.abs(model.artifact.parameters["encoder"]["embedding"] - before["embedding"]).max() > 1e-4
    assert model.classes_.tolist() == [0, 1]
    card = model.artifact.provenance
    assert (card["trained_from"], card["recipe"]) == ("scratch", "gradual_unfreezing")
    assert (card["training"]["documents"], card["training"]["validation_documents"]) == (54, 6)


@pytest.mark.slow
def test_a_probe_and_a_classifier_of_several_labels_learn_on():
    texts, labels = reviews(60)
    fitted = {"preset": "tiny", "lm_epochs": 0, "batch_size": 16, "devices": 1, "recipe": "linear_probe"}
    probe = TextClassifier(None, **fitted).fit(texts, [[label] for label in labels])
    before = probe.predict_proba(texts)
    probe.learn_from(texts, [[label] for label in labels], epochs=1)
    assert np.abs(probe.predict_proba(texts) - before).max() > 1e-4
    assert probe.multi_label
    assert probe.artifact.provenance["stages"] == ["linear probe, 1 epoch", "further training, 1 epoch"]
    assert probe.artifact.provenance["recipe"] == "linear_probe"


def test_what_cannot_be_learnt_is_refused(student):
    texts, labels = FEW
    before = student.predict_proba(texts)
    with pytest.raises(ArtifactError, match="not trained yet"):
        TextClassifier(None).learn_from(texts, labels)
    with pytest.raises(DataError, match="no texts to learn"):
        student.learn_from([], [])
    with pytest.raises(DataError, match="neutral"):
        student.learn_from(texts, ["neutral", *labels[1:]])
    with pytest.raises(DataError, match="several labels"):
        student.learn_from(texts, [[label] for label in labels])
    for wrong, said in (
        (np.ones((40, 3)), "probabilities of 3 classes, but the classes are bad, good"),
        (np.ones((40, 2)), r"labels\[0\] is \[1. 1.\]: probabilities are 0 at least"),
        (np.tile([1.5, -0.5], (40, 1)), "0 at least"),
        (np.full((40, 2), np.nan), "nan"),
        (np.full((39, 2), 0.5), "39"),
        ([[0.5, 0.5], [0.4, 0.4, 0.2], *[[0.5, 0.5]] * 38], "not of one length"),
    ):
        with pytest.raises(DataError, match=said):
            student.learn_from(texts, wrong)
    weighted = new_student().set_params(class_weight="balanced")
    with pytest.raises(ConfigError, match="class_weight is for labels"):
        weighted.learn_from(texts, np.full((40, 2), 0.5))
    for wrong in ({"epochs": 0}, {"learning_rate": 0.0}, {"learning_rate": float("nan")}, {"lr_mult": 0.5}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            student.learn_from(texts, labels, **wrong)
    np.testing.assert_array_equal(student.predict_proba(texts), before)
