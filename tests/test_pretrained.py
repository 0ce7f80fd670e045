"""The models that the repository ships: they load, they know English, and classifiers start from them."""

from __future__ import annotations

import pytest

from reviews import reviews
from ulmfit_jax import ArtifactError, LanguageModel, TextClassifier
from ulmfit_jax.pretrained import model_folder, shipped_models


@pytest.fixture(scope="module", params=sorted(shipped_models()))
def shipped(request) -> str:
    return request.param


def test_at_least_the_default_model_is_shipped():
    assert "wikipedia-small" in shipped_models()
    with pytest.raises(ArtifactError, match="wikipedia-small"):
        model_folder("wikipedia-smal")


def test_a_shipped_model_finds_english_likelier_than_its_words_in_disorder(shipped):
    model = LanguageModel(shipped, devices=1)
    text = (
        "The river rises in the mountains of northern Italy and flows south through the city. The bridge was built in "
        "the early 19th century and is one of the largest in the country. During the war, the town was occupied, and "
        "many of its inhabitants were killed. After the war, the area was rebuilt and became part of the new state."
    )
    disorder = " ".join(text.split()[::-1])
    assert model.perplexity(text) < 50
    assert model.perplexity(disorder) > 5 * model.perplexity(text)
    assert model.generate("The city", n_words=5, seed=1).startswith("The city")


def test_a_classifier_starts_from_the_shipped_model_by_default():
    model = TextClassifier(lm_epochs=0, epochs=(1, 0, 0, 0), batch_size=16, validation_fraction=0, devices=1)
    model.fit(*reviews(32))
    assert model.artifact.architecture == LanguageModel("wikipedia-small").artifact.architecture
    assert model.artifact.provenance["trained_from"] == "wikipedia-small"
    assert model.predict_proba(reviews(4)[0]).shape == (4, 2)
