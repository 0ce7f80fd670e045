"""scikit-learn's own checks of estimators, run on `TextClassifier`.

They feed matrices of numbers, which no text classifier takes, and fit some hundred times. So a text here is a row of
numbers, and what stands in for the training and for the network is the distance to the mean of each class. Everything
between scikit-learn and those two is the estimator's own: parameters, labels, classes, checks, answers, copies.
"""

from __future__ import annotations

import functools
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.utils import InputTags
from sklearn.utils.estimator_checks import estimator_checks_generator

from ulmfit_jax import TextClassifier, classifier_parts, text_classifier
from ulmfit_jax.artifact import Artifact
from ulmfit_jax.class_weights import class_weights
from ulmfit_jax.classifier_options import ClassifierOptions
from ulmfit_jax.data import lists
from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.lists import text_list
from ulmfit_jax.errors import UlmfitError
from ulmfit_jax.nn.architecture import preset

NOT_APPLICABLE = {
    "check_fit_score_takes_y": "the second argument is called labels, not y",
    "check_requires_y_none": "the sentence about missing labels says labels, not y",
    "check_n_features_in": "texts have no number of features",
    "check_n_features_in_after_fitting": "texts have no number of features",
    "check_complex_data": "is about numbers in a matrix: text_list refuses what is no string",
    "check_dtype_object": "is about objects in a matrix: text_list refuses what is no string",
    "check_estimators_nan_inf": "is about numbers in a matrix: text_list refuses what is no string",
    "check_estimators_empty_data_messages": "wants rows without features refused, but an empty text is a text",
    "check_estimator_sparse_tag": "is about sparse matrices: text_list refuses what is no string",
    "check_estimator_sparse_array": "is about sparse matrices: text_list refuses what is no string",
    "check_estimator_sparse_matrix": "is about sparse matrices: text_list refuses what is no string",
    "check_fit2d_predict1d": "wants the advice to reshape a vector of numbers: text_list refuses what is no string",
    "check_fit2d_1sample": "wants a shorter sentence than that on the only class there is",
    "check_classifiers_regression_target": "fractions are names of classes too, as in files",
    "check_supervised_y_2d": "a column of labels is read like a row of them, without a warning",
}
"""Checks that fail, each with why it is no defect."""


class OfRows(TextClassifier):
    """The checks pass over an estimator that says it takes no matrices."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags = InputTags()
        return tags


def estimator() -> OfRows:
    return OfRows(None, "tiny", lm_epochs=0, epochs=(1, 0, 0, 0), validation_fraction=0, devices=1)


def rows_as_texts(rows: Any, name: str = "texts") -> list[str]:
    matrix = np.asarray(rows)
    return [" ".join(map(repr, row.tolist())) for row in matrix] if matrix.ndim == 2 else text_list(rows, name)


def numbers(texts: list[str]) -> np.ndarray:
    return np.array([text.split() for text in texts]).astype(np.float64)


def means_of_classes(
    start: Any, data: TextDataset, classes: tuple[str, ...], options: ClassifierOptions, *more: Any
) -> tuple[Artifact, list[dict[str, Any]]]:
    rows, labels = numbers(list(data.texts)), np.array(data.labels)
    means = np.stack([rows[labels == name].mean(axis=0) for name in classes])
    weights = np.log(class_weights(options.class_weight, classes, data.labels or ()) or np.ones(len(classes)))
    learnt = {"means": means, "weights": weights, "variance": rows.var()}
    return Artifact("classifier", preset("tiny"), start, learnt, labels=classes), []


class NearestMean:
    def __init__(self, artifact: Artifact, devices: Any, precision: str) -> None:
        self.learnt = artifact.parameters

    def log_probabilities(self, texts: list[str]) -> np.ndarray:
        distances = ((numbers(texts)[:, None] - self.learnt["means"][None]) ** 2).sum(axis=2)
        scores = self.learnt["weights"][None] - distances / self.learnt["variance"]
        return scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def _numbers_for_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (text_classifier, lists):
        monkeypatch.setattr(module, "text_list", rows_as_texts)
    monkeypatch.setattr(classifier_parts, "fine_tuned_language_model", lambda *given: (types.SimpleNamespace(), []))
    monkeypatch.setattr(classifier_parts, "fit_classifier", means_of_classes)
    monkeypatch.setattr(text_classifier, "corpus_in_memory", lambda texts, tokenizer: texts)
    monkeypatch.setattr(text_classifier, "Predictor", NearestMean)


def name_of(check: Any) -> str:
    while isinstance(check, functools.partial):
        check = check.func
    return str(check.__name__)


def checks() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*does not inherit from `sklearn.base.BaseEstimator`", UserWarning)
        for made, check in estimator_checks_generator(estimator()):
            yield pytest.param(made, check, id=name_of(check))


@pytest.mark.parametrize(("made", "check"), list(checks()))
def test_what_scikit_learn_asks_of_an_estimator(made: OfRows, check: Callable[[Any], None]) -> None:
    if name_of(check) not in NOT_APPLICABLE:
        check(made)
        return
    expected = (AssertionError, UlmfitError, TypeError, ValueError, RuntimeWarning)
    with pytest.raises(expected):  # and if it does not fail, it has no place in the list
        check(made)
