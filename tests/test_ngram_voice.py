"""N-grams that answer beside the networks of an ensemble: the arithmetic, the folder, what they are worth."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, log_softmax, logit

from artifact.small_models import model
from reviews import reviews
from ulmfit_jax import ArtifactError, DataError, Ensemble, TextClassifier
from ulmfit_jax.artifact import save_artifact
from ulmfit_jax.artifact.manifest import write_manifest
from ulmfit_jax.data.corpus import corpus_in_memory
from ulmfit_jax.ensemble import load_classifier
from ulmfit_jax.inference.temperature import fitted_temperature, tempered
from ulmfit_jax.ngram_voice import learnt_voice
from ulmfit_jax.ngrams import cross_validated_log_probabilities, fitted_ngrams

TEXTS = ["a good film", "a bad film", "a good day", "a bad day", "good and good", "bad and bad", "a good night"]
LABELS = ["good", "bad", "good", "bad", "good", "bad", "good"]


@pytest.fixture
def ensemble(tmp_path: Path) -> Ensemble:
    save_artifact(model("classifier"), tmp_path / "network")
    return Ensemble([TextClassifier.load(tmp_path / "network", devices=1)])


def test_both_are_believed_as_far_as_they_are_right_and_then_averaged(ensemble: Ensemble) -> None:
    held_out = (["good night", "bad night", "a film"], ["good", "bad", "bad"])
    network = ensemble.members[0]
    before = network.predict_proba(TEXTS)
    joint = ensemble.learn_ngrams(TEXTS, LABELS, *held_out).predict_proba(TEXTS)

    assert re.fullmatch(r"Ensemble\(1 classifier of bad, good, \d+ n-grams\)", repr(ensemble))
    ids = list(corpus_in_memory(TEXTS, network.artifact.tokenizer))
    classes = np.array([int(label == "good") for label in LABELS])
    unseen = cross_validated_log_probabilities(ids, classes, 2)
    of_ngrams = tempered(
        fitted_ngrams(ids, classes, 2).log_probabilities(ids),
        fitted_temperature(unseen, classes, is_near_one=True),
    )
    scores = np.log(network.predict_proba(held_out[0]))
    temperature = fitted_temperature(scores, np.array([1, 0, 0]), is_near_one=True)
    np.testing.assert_allclose(joint, (tempered(np.log(before), temperature) + of_ngrams) / 2, atol=1e-6)
    assert np.abs(joint - before).max() > 0.05
    np.testing.assert_array_equal(network.predict_proba(TEXTS), before)  # the member itself is as it was


@pytest.mark.parametrize("half_precision", [False, True])
def test_the_folder_gives_the_same_answers(ensemble: Ensemble, tmp_path: Path, half_precision: bool) -> None:
    ensemble.learn_ngrams(TEXTS, LABELS).calibrate(TEXTS, LABELS)
    ensemble.save(tmp_path / "joint", half_precision=half_precision)
    ensemble.save(tmp_path / "joint", half_precision=half_precision)  # over the first
    loaded = load_classifier(tmp_path / "joint", devices=1)
    assert isinstance(loaded, Ensemble)
    assert loaded.temperature == ensemble.temperature != 1
    texts = [*TEXTS, "", "something else"]
    found, expected = loaded.predict_proba(texts), ensemble.predict_proba(texts)
    np.testing.assert_allclose(found, expected, atol=2e-3 if half_precision else 0)
    assert "A linear model over" in (tmp_path / "joint" / "README.md").read_text("utf-8")


def test_several_labels_a_text(tmp_path: Path) -> None:
    artifact = model("classifier")
    assert artifact.head is not None
    save_artifact(replace(artifact, head=replace(artifact.head, multi_label=True)), tmp_path / "network")
    ensemble = Ensemble([TextClassifier.load(tmp_path / "network", devices=1)])
    labels = [("good",), ("bad",), ("good", "bad"), (), ("good",), ("bad",), ("good",)]
    ensemble.learn_ngrams(TEXTS, labels, TEXTS[:3], labels[:3])
    ensemble.save(tmp_path / "joint")
    found = load_classifier(tmp_path / "joint", devices=1).predict_proba(TEXTS)
    assert ensemble.ngrams is not None
    voice, network = ensemble.ngrams, ensemble.members[0].predict_proba(TEXTS)
    ids = list(corpus_in_memory(TEXTS, artifact.tokenizer))
    of_ngrams = np.exp(voice.model.log_probabilities(ids))
    sharpened = [
        expit(logit(p.astype(float)) / t)
        for p, t in ((network, voice.networks_temperature), (of_ngrams, voice.temperature))
    ]
    np.testing.assert_allclose(found, np.mean(sharpened, axis=0), atol=1e-5)


def test_an_overconfident_network_without_knowledge_does_not_outvote_ngrams() -> None:
    """A network whose large scores have nothing to do with the labels is hardly heard, and a good one is."""
    random = np.random.default_rng(0)
    truth = random.integers(2, size=200)
    documents = [np.append(random.integers(20, 60, 8), 5 + 5 * label).astype(np.int32) for label in truth]
    noise = log_softmax(random.normal(scale=8, size=(200, 2)), axis=1)
    good = log_softmax(np.eye(2)[truth] * 6 + random.normal(size=(200, 2)), axis=1)
    train, held, new = slice(0, 100), slice(100, 130), slice(130, 200)
    for scores in (noise, good):
        voice = learnt_voice(documents[train], truth[train], 2, (scores[held], truth[held]), held_out=True)
        joint = voice.log_probabilities(scores[new], documents[new])
        assert (joint.argmax(axis=1) == truth[new]).mean() > 0.95
    mute = learnt_voice([np.array([5, 6], np.int32)] * 100, truth[train], 2, (good[held], truth[held]), held_out=True)
    joint = mute.log_probabilities(good[new], [np.array([5, 6], np.int32)] * 70)
    np.testing.assert_array_equal(joint.argmax(axis=1), good[new].argmax(axis=1))


def test_it_is_at_least_as_good_as_its_parts_on_texts_that_need_both() -> None:
    """Half of the texts say their class by a word, of which n-grams know; of the other half the network knows."""
    random = np.random.default_rng(1)
    truth = random.integers(2, size=600)
    by_word = random.random(600) < 0.5
    documents = [
        np.append(random.integers(20, 400, 12), 5 + label if words else 7).astype(np.int32)
        for label, words in zip(truth, by_word, strict=True)
    ]
    signs = np.where(by_word, random.normal(size=600), (2 * truth - 1) * 3 + random.normal(size=600))
    scores = log_softmax(np.stack([np.zeros(600), 3 * signs], axis=1), axis=1)
    voice = learnt_voice(documents[:300], truth[:300], 2, (scores[300:400], truth[300:400]), held_out=True)
    new = slice(400, 600)
    errors = [
        (log_probabilities.argmax(axis=1) != truth[new]).mean()
        for log_probabilities in (
            scores[new],
            voice.model.log_probabilities(documents[new]),
            voice.log_probabilities(scores[new], documents[new]),
        )
    ]
    assert errors[2] < min(errors[:2]) - 0.05


def test_without_held_out_texts_the_network_is_about_as_sure_as_the_ngrams() -> None:
    random = np.random.default_rng(2)
    truth = random.integers(2, size=200)
    documents = [np.append(random.integers(20, 60, 8), 5 + label).astype(np.int32) for label in truth]
    odds = random.normal(size=200)
    rows = np.arange(0, 200, 2)
    unseen = cross_validated_log_probabilities(documents, truth, 2)[rows]
    margin = np.abs(unseen[:, 1] - unseen[:, 0]).mean()
    for scale, expected in ((0.1, 1.0), (2.0, None), (200.0, 3.0)):
        scaled = odds[rows] / np.abs(odds[rows]).mean() * margin * scale
        scores = log_softmax(np.stack([np.zeros(100), scaled], axis=1), axis=1)
        voice = learnt_voice(documents, truth, 2, (scores, rows), held_out=False)
        assert voice.networks_temperature == pytest.approx(expected or scale * voice.temperature, rel=1e-6)


def test_a_class_of_one_text_does_not_spoil_the_temperature() -> None:
    random = np.random.default_rng(3)
    truth = random.integers(2, size=100)
    documents = [np.append(random.integers(20, 60, 8), 5 + label).astype(np.int32) for label in truth]
    scores = (np.log(np.full((10, 3), 1 / 3)), np.zeros(10, np.int64))
    voice = learnt_voice([*documents, documents[0]], np.append(truth, 2), 3, scores, held_out=True)
    assert voice.temperature < 2  # above 3 if the text that its fold cannot know counted


def test_a_few_right_answers_do_not_lead_to_the_bound() -> None:
    scores = np.log(np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]))
    truth = np.array([0, 1, 0])
    assert fitted_temperature(scores, truth) == pytest.approx(0.01)
    found = fitted_temperature(scores, truth, is_near_one=True)
    assert 0.2 < found < 1

    def posterior(logarithm: float) -> float:
        answers = log_softmax(scores / np.exp(logarithm), axis=1)
        return float(answers[np.arange(3), truth].sum() - logarithm**2 / 2)

    assert posterior(np.log(found)) > max(posterior(np.log(found) + step) for step in (-0.01, 0.01))
    many = fitted_temperature(np.tile(scores, (500, 1)), np.tile([0, 1, 1], 500), is_near_one=True)
    assert many == pytest.approx(fitted_temperature(np.tile(scores, (500, 1)), np.tile([0, 1, 1], 500)), rel=0.02)


def test_no_texts_have_no_answers(ensemble: Ensemble) -> None:
    joint = Ensemble(ensemble.members).learn_ngrams(TEXTS, LABELS)
    assert joint.predict_proba([]).shape == (0, len(joint.class_names))
    assert joint.predict([]).tolist() == []


def test_what_cannot_be_learnt_is_refused(ensemble: Ensemble) -> None:
    with pytest.raises(DataError, match="no texts to learn n-grams on"):
        ensemble.learn_ngrams([], [])
    with pytest.raises(DataError, match="neutral"):
        ensemble.learn_ngrams(TEXTS, ["neutral", *LABELS[1:]])
    with pytest.raises(DataError, match="no token is in enough"):
        learnt_voice(
            [np.zeros(0, np.int32), np.zeros(0, np.int32)],
            np.array([0, 1]),
            2,
            (np.zeros((1, 2)), np.array([0])),
            held_out=False,
        )
    assert ensemble.ngrams is None


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("weights", np.zeros((3, 1), np.float32)),
        ("weights", "nan"),
        ("weights", "object"),
        ("ngrams", "foreign"),
        ("known", np.array([0, 7], np.int32)),
        ("known", np.array([[0, 1]], np.int32)),
        ("intercepts", np.zeros(2, np.float32)),
        ("inverse_frequencies", "short"),
        ("inverse_frequencies", None),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(
    ensemble: Ensemble, tmp_path: Path, name: str, array: Any
) -> None:
    ensemble.learn_ngrams(TEXTS, LABELS).save(tmp_path / "joint")
    file = tmp_path / "joint" / "ngrams" / f"{name}.npy"
    right = np.load(file)
    if array is None:
        file.unlink()
    elif isinstance(array, str):
        changed = {
            "nan": lambda: np.full_like(right, np.nan),
            "object": lambda: np.full(right.shape, None),
            "foreign": lambda: right + 10_000,
            "short": lambda: right,
        }[array]()
        np.save(file, changed, allow_pickle=True)
        if array == "short":
            file.write_bytes(file.read_bytes()[:-4])
    else:
        np.save(file, array)
    write_manifest(tmp_path / "joint")  # somebody has made it on purpose
    with pytest.raises(ArtifactError, match="copy the model folder again"):
        Ensemble.load(tmp_path / "joint")


def test_a_damaged_folder_is_named(ensemble: Ensemble, tmp_path: Path) -> None:
    ensemble.learn_ngrams(TEXTS, LABELS).save(tmp_path / "joint")
    shutil.copytree(tmp_path / "joint", tmp_path / "cut")
    file = tmp_path / "cut" / "ngrams" / "weights.npy"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match=r"weights\.npy has"):
        Ensemble.load(tmp_path / "cut")
    config = json.loads((tmp_path / "joint" / "config.json").read_text())
    for facts in ({}, {**config["ngrams"], "temperature": -1}, {**config["ngrams"], "features": 1}, "yes"):
        (tmp_path / "joint" / "config.json").write_text(json.dumps({**config, "ngrams": facts}))
        write_manifest(tmp_path / "joint")
        with pytest.raises(ArtifactError, match="copy the model folder again"):
            Ensemble.load(tmp_path / "joint")


def test_real_words_after_training(tmp_path: Path) -> None:
    texts, labels = reviews(60)
    network = TextClassifier(
        None, "tiny", lm_epochs=0, epochs=(1, 0, 0, 0), batch_size=16, validation_fraction=0, devices=1
    ).fit(texts, labels)
    new, truth = reviews(40, seed=9)
    joint = Ensemble([network]).learn_ngrams(texts, labels)
    assert joint.evaluate(new, truth)["error"] <= 0.05  # the adjective decides, and words are what n-grams know
