"""The models that the repository ships: they load, they know English, and classifiers start from them."""

from __future__ import annotations

import numpy as np
import pytest

from reviews import reviews
from ulmfit_jax import ArtifactError, LanguageModel, TextClassifier
from ulmfit_jax.pretrained import model_folder, shipped_models


@pytest.fixture(scope="module", params=sorted(shipped_models()))
def shipped(request) -> str:
    return request.param


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


@pytest.mark.parametrize("devices", [1, 4])
def test_a_shipped_model_is_what_was_measured(shipped, devices):
    model = LanguageModel(shipped, devices=devices)
    assert model.perplexity(TEXT) == pytest.approx(PERPLEXITIES[shipped], rel=1e-4)
    disorder = np.random.default_rng(0).permutation(TEXT.split())
    assert model.perplexity(" ".join(disorder)) > 20 * PERPLEXITIES[shipped]


def test_the_forward_model_continues_a_text():
    text = LanguageModel("wikipedia-small-forward", devices=1).generate("The city", n_words=5, seed=1)
    assert text.startswith("The city ")


def test_a_classifier_starts_from_the_shipped_model_by_default():
    model = TextClassifier(lm_epochs=0, epochs=(1, 0, 0, 0), batch_size=16, validation_fraction=0, devices=1)
    model.fit(*reviews(32))
    assert model.artifact.architecture == LanguageModel("wikipedia-small-forward").artifact.architecture
    assert model.artifact.provenance["trained_from"] == "wikipedia-small-forward"
    assert model.predict_proba(reviews(4)[0]).shape == (4, 2)
