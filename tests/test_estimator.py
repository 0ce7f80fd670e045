"""`TextClassifier` in scikit-learn's tools."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.validation import check_is_fitted

from ulmfit_jax import TextClassifier
from ulmfit_jax.errors import ArtifactError, ConfigError, DataError

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


@pytest.mark.parametrize("predicted_first", [False, True])
def test_a_copy_of_what_is_trained_answers_alike(predicted_first: bool) -> None:
    model = quick().fit(TEXTS, LABELS)
    if predicted_first:
        model.predict_proba(TEXTS)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict_proba(TEXTS), model.predict_proba(TEXTS))


def test_before_fit_there_is_scikit_learn_s_error() -> None:
    for ask in (lambda: quick().predict(TEXTS), lambda: quick().score(TEXTS, LABELS), lambda: quick().classes_):
        with pytest.raises(NotFittedError, match="not trained yet: call fit") as caught:
            ask()
        assert isinstance(caught.value, ArtifactError)
    assert not hasattr(quick(), "classes_")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [(np.array([10, 9] * 12), [9, 10]), ([1, 0] * 12, [0, 1]), ([True, False] * 12, [False, True])],
    ids=["array of whole numbers", "whole numbers", "truth values"],
)
def test_classes_have_the_type_of_the_labels(labels: Any, classes: list[Any], tmp_path: Path) -> None:
    model = quick().fit(TEXTS.tolist(), labels)
    model.save(tmp_path / "model")
    for each in (model, TextClassifier.load(tmp_path / "model", devices=1)):
        assert each.classes_.tolist() == classes
        assert each.class_names == tuple(map(str, classes))
        assert each.predict(TEXTS[0]) in classes
        assert each.score(TEXTS, labels) == accuracy_score(labels, each.predict(TEXTS))
    for label in labels:  # 1.0 is the class 1, as in `fit`
        assert model.explain("it was good", label=label).label in model.class_names


def test_labels_that_are_mixed_are_names() -> None:
    assert quick().fit(TEXTS, [1, "no"] * 12).classes_.tolist() == ["1", "no"]


def test_columns_of_pandas() -> None:
    table = pd.DataFrame({"text": TEXTS, "label": [1, 0] * 12}, index=range(100, 124))
    model = quick().fit(table["text"], table["label"])
    np.testing.assert_array_equal(model.predict_proba(table["text"]), model.predict_proba(TEXTS.tolist()))
    assert model.score(table["text"], table["label"]) == model.evaluate(TEXTS, [1, 0] * 12)["accuracy"]


def test_a_label_that_was_not_learnt_is_a_wrong_answer_of_score_alone() -> None:
    model = quick().fit(TEXTS, LABELS)
    labels = LABELS.tolist()
    labels[:3] = ["maybe", "maybe", "perhaps"]
    assert model.score(TEXTS, labels) == pytest.approx(accuracy_score(labels, model.predict(TEXTS)))
    for ask in (lambda: model.score(TEXTS, ["maybe"] * 24), lambda: model.evaluate(TEXTS, labels)):
        with pytest.raises(DataError, match="'maybe', which the model does not know"):
            ask()
    with pytest.raises(DataError, match="no texts to evaluate on"):
        model.score([], [])


def test_parameters_are_changed_by_name() -> None:
    model = TextClassifier().set_params(seed=5, lm_epochs=2)
    assert (model.seed, model.lm_epochs) == (5, 2)
    assert repr(model) == "TextClassifier(lm_epochs=2, seed=5)"
    with pytest.raises(ConfigError, match="no parameter 'rate': it has pretrained, preset, recipe"):
        model.set_params(seed=1, rate=3)
    assert model.seed == 5


@pytest.mark.slow
def test_cross_validation_search_and_pipelines() -> None:
    scores = cross_val_score(quick(), TEXTS, np.array([1, 0] * 12), cv=2, scoring="f1_macro")
    assert scores.shape == (2,)
    assert np.isfinite(scores).all()

    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    search = GridSearchCV(make_pipeline(lower, quick()), {"textclassifier__seed": [0, 1]}, cv=2)
    search.fit(TEXTS, LABELS)
    assert search.best_params_["textclassifier__seed"] in (0, 1)
    assert set(search.predict(["it was good"])) <= {"yes", "no"}
    assert search.classes_.tolist() == ["no", "yes"]
