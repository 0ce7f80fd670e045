"""Networks and n-grams that label texts together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import log_softmax

from reviews import reviews
from ulmfit_jax import ArtifactError, ConfigError, Ensemble, TextClassifier
from ulmfit_jax.co_training import joint_labels, joint_scores
from ulmfit_jax.data import corpus_in_memory
from ulmfit_jax.inference.temperature import tempered
from ulmfit_jax.ngram_voice import load_voice
from ulmfit_jax.ngrams import fitted_ngrams


def test_teachers_have_the_same_say_however_sure_they_are_of_themselves():
    loud = np.log([[0.999, 0.001], [0.001, 0.999], [0.4, 0.6], [0.9, 0.1]])
    quiet = np.log([[0.6, 0.4], [0.4, 0.6], [0.7, 0.3], [0.2, 0.8]])
    assert joint_scores([loud, quiet]).argmax(axis=1).tolist() == [0, 1, 0, 1]
    assert (loud + quiet).argmax(axis=1).tolist() == [0, 1, 0, 0]
    np.testing.assert_allclose(joint_scores([loud * 3, quiet]), joint_scores([loud, quiet]))
    assert np.isfinite(joint_scores([np.zeros((2, 3))])).all()


def test_from_joint_labels_ngrams_learn_words_that_no_labelled_text_has() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(2, size=1500)
    few, more, new = slice(0, 30), slice(30, 1000), slice(1000, 1500)
    documents = [(random.integers(20, 120, 4) + 200 * (label ^ (random.random(4) < 0.15))) for label in truth]
    network = log_softmax(np.eye(2)[truth ^ (random.random(1500) < 0.2)] * 5, axis=1)  # a fifth wrong, and sure of it
    alone = fitted_ngrams(documents[few], truth[few], 2)
    labels = joint_labels(documents[few], truth[few], 2, documents[more], network[more])
    wrong = (labels != truth[more]).mean()
    assert wrong < 0.17
    assert wrong < (alone.log_probabilities(documents[more]).argmax(axis=1) != truth[more]).mean() - 0.05
    taught = fitted_ngrams(documents[: more.stop], np.append(truth[few], labels), 2)
    errors = [(each.log_probabilities(documents[new]).argmax(axis=1) != truth[new]).mean() for each in (alone, taught)]
    assert errors[1] < errors[0] - 0.1


@pytest.mark.slow
def test_the_ngrams_of_an_ensemble_learn_from_texts_without_labels(tmp_path: Path) -> None:
    texts, labels = reviews(12)
    more = reviews(200, seed=5)[0]
    options = {"lm_epochs": 1, "epochs": (1, 0, 0, 4), "validation_fraction": 0.0, "devices": 1}
    network = TextClassifier(None, "tiny", **options).fit(*reviews(100, seed=6), more)
    ensemble = Ensemble([network]).learn_ngrams(texts, labels)
    before = ensemble.ngrams
    after = ensemble.learn_ngrams(texts, labels, unlabeled=more).ngrams
    assert before is not None
    assert after is not None
    assert len(after.model.ngrams) > len(before.model.ngrams)
    assert ensemble.score(*reviews(40, seed=7)) > 0.9
    new = reviews(40, seed=7)[0]
    ids = list(corpus_in_memory(new, network.artifact.tokenizer))
    voices = [
        tempered(np.log(network.predict_proba(new)), after.networks_temperature),
        tempered(after.model.log_probabilities(ids), after.temperature),
    ]
    np.testing.assert_allclose(ensemble.predict_proba(new), np.average(voices, axis=0, weights=(1, 3)), atol=1e-6)
    ensemble.save(tmp_path / "joint")
    assert "n-grams weighs 3 times as much as all of them" in (tmp_path / "joint" / "README.md").read_text("utf-8")
    loaded = Ensemble.load(tmp_path / "joint", devices=1)
    np.testing.assert_allclose(loaded.predict_proba(new), ensemble.predict_proba(new), atol=1e-6)
    config = json.loads((tmp_path / "joint" / "config.json").read_text("utf-8"))
    with pytest.raises(ArtifactError, match="a networks_share that is no number between 0 and 1"):
        load_voice(tmp_path / "joint" / "ngrams", config["ngrams"] | {"networks_share": 1.5}, 2, False, 10**6)
    del config["ngrams"]["networks_share"]  # a folder from before there was one
    assert load_voice(tmp_path / "joint" / "ngrams", config["ngrams"], 2, False, 10**6).networks_share == 0.5

    several = TextClassifier(None, "tiny", **options).fit(texts, [[label] for label in labels])
    with pytest.raises(ConfigError, match="here a text may have several"):
        Ensemble([several]).learn_ngrams(texts, [[label] for label in labels], unlabeled=more)
