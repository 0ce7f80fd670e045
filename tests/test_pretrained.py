"""The models that the repository ships: they load, they know English, and classifiers start from them."""

from __future__ import annotations

import numpy as np
import pytest

from reviews import reviews
from ulmfit_jax import ArtifactError, Ensemble, LanguageModel, TextClassifier
from ulmfit_jax.pretrained import model_folder, shipped_models


def test_at_least_the_default_model_is_shipped():
    assert "wikipedia-small-forward" in shipped_models()
    with pytest.raises(ArtifactError, match="wikipedia-small-forward"):
        model_folder("wikipedia-smal")


TEXT = (
    "The river rises in the mountains of northern Italy and flows south through the city. The bridge was built in "
    "the early 19th century and is one of the largest in the country. During the war, the town was occupied, and "
    "many of its inhabitants were killed. After the war, the area was rebuilt and became part of the new state."
)
PERPLEXITIES = {"wikipedia-small-forward": 12.1605, "wikipedia-small-backward": 11.1779}
"""Of `TEXT`, as measured when the models were shipped."""

REVIEWS = (
    "I went in expecting very little and came out humming the theme. The cast is a joy to watch, the jokes land, and "
    "the last scene had half the row in tears.",
    "Two hours of my life that I will never get back. The plot makes no sense, the acting is wooden, and even the "
    "music is annoying.",
    "Not the masterpiece that everybody says it is, but the second half is so well made that I would see it again.",
    "The book is wonderful. This film is not: it keeps the names, loses the story, and bores from start to finish.",
)
POSITIVE = {
    "imdb-small": (0.9943, 0.0002, 0.9978, 0.0088),
    "imdb-small-backward": (0.9992, 0.0000, 0.9987, 0.0001),
}
"""Probability that each of `REVIEWS`, written for this test, is positive, as measured when the model was shipped."""


def test_every_shipped_model_is_measured_here():
    assert sorted(shipped_models()) == sorted([*PERPLEXITIES, *POSITIVE])


@pytest.mark.parametrize("devices", [1, 4])
@pytest.mark.parametrize("shipped", POSITIVE)
def test_a_shipped_classifier_is_what_was_measured(shipped, devices):
    model = TextClassifier.load(shipped, devices=devices)
    assert model.class_names == ("neg", "pos")
    assert model.predict_proba(REVIEWS)[:, 1] == pytest.approx(POSITIVE[shipped], abs=2e-3)


def test_the_shipped_classifiers_read_in_both_directions_and_answer_together():
    pair = [TextClassifier.load(name, devices=1) for name in POSITIVE]
    assert [model.artifact.backwards for model in pair] == [False, True]
    mean = np.mean([POSITIVE[name] for name in POSITIVE], axis=0)
    assert Ensemble(pair).predict_proba(REVIEWS)[:, 1] == pytest.approx(mean, abs=2e-3)


@pytest.mark.parametrize("devices", [1, 4])
@pytest.mark.parametrize("shipped", PERPLEXITIES)
def test_a_shipped_model_is_what_was_measured(shipped, devices):
    model = LanguageModel(shipped, devices=devices)
    assert model.perplexity(TEXT) == pytest.approx(PERPLEXITIES[shipped], rel=1e-4)
    disorder = np.random.default_rng(0).permutation(TEXT.split())
    assert model.perplexity(" ".join(disorder)) > 20 * PERPLEXITIES[shipped]


def test_the_forward_model_continues_a_text():
    text = LanguageModel("wikipedia-small-forward", devices=1).generate("The city", n_words=5, seed=1)
    assert text.startswith("The city ")


@pytest.mark.slow
def test_a_classifier_starts_from_the_shipped_model_by_default():
    model = TextClassifier(lm_epochs=0, epochs=(1, 0, 0, 0), batch_size=16, validation_fraction=0, devices=1)
    model.fit(*reviews(32))
    assert model.artifact.architecture == LanguageModel("wikipedia-small-forward").artifact.architecture
    assert model.artifact.provenance["trained_from"] == "wikipedia-small-forward"
    assert model.predict_proba(reviews(4)[0]).shape == (4, 2)
