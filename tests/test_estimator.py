"""`TextClassifier` in scikit-learn's tools."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import check_is_fitted

from ulmfit_jax import TextClassifier
from ulmfit_jax.errors import ConfigError

TEXTS = np.array([f"it was {word} {number} times" for number in range(12) for word in ("good", "bad")], dtype=object)
LABELS = np.array(["yes", "no"] * 12)


def quick(**options: Any) -> TextClassifier:
    return TextClassifier(
        None, "tiny", lm_epochs=0, epochs=(1, 0, 0, 0), validation_fraction=0, batch_size=8, devices=1, **options
    )


def test_a_clone_has_the_parameters_and_nothing_learnt() -> None:
    model = quick(seed=3, drop_mult=0.2).fit(TEXTS, LABELS)
    check_is_fitted(model)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert copy.seed == 3
    with pytest.raises(NotFittedError):
        check_is_fitted(copy)
    assert is_classifier(copy)


def test_parameters_are_changed_by_name() -> None:
    model = TextClassifier().set_params(seed=5, lm_epochs=2)
    assert (model.seed, model.lm_epochs) == (5, 2)
    assert repr(model) == "TextClassifier(lm_epochs=2, seed=5)"
    with pytest.raises(ConfigError, match="no parameter 'rate': it has pretrained, preset, recipe"):
        model.set_params(seed=1, rate=3)
    assert model.seed == 5


def test_cross_validation_search_and_pipelines() -> None:
    scores = cross_val_score(quick(), TEXTS, LABELS, cv=2, scoring="f1_macro")
    assert scores.shape == (2,)
    assert np.isfinite(scores).all()

    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    search = GridSearchCV(make_pipeline(lower, quick()), {"textclassifier__seed": [0, 1]}, cv=2)
    search.fit(TEXTS, LABELS)
    assert search.best_params_["textclassifier__seed"] in (0, 1)
    assert set(search.predict(["it was good"])) <= {"yes", "no"}
    assert search.classes_.tolist() == ["no", "yes"]
