"""What anything that gives class probabilities can answer: classes, accuracy, loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.labels import label_indices
from ulmfit_jax.data.lists import labelled_texts
from ulmfit_jax.errors import DataError
from ulmfit_jax.inference.label_answers import (
    evaluated_labels,
    fitted_label_temperature,
    given_labels,
    label_calibration_error,
    label_cross_entropy,
    tempered_labels,
)
from ulmfit_jax.inference.temperature import expected_calibration_error, fitted_temperature, tempered
from ulmfit_jax.report.measures import class_scores, confusion_matrix, none_of_nan

Texts = Sequence[str]


def evaluated(probabilities: np.ndarray, truth: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """The figures of `Answers.evaluate` from probabilities `[documents, classes]` and indices of classes."""
    answers = probabilities.argmax(axis=1)
    accuracy = float((answers == truth).mean())
    scores = class_scores(confusion_matrix(truth, answers, len(classes)))
    return {
        "accuracy": accuracy,
        "error": 1 - accuracy,
        "loss": _cross_entropy(probabilities, truth),
        "n": len(truth),
        "macro_f1": none_of_nan(scores.macro_f1),
        "classes": scores.by_class(classes),
    }


def _cross_entropy(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Its mean over the documents, in nats."""
    picked = np.maximum(probabilities[np.arange(len(truth)), truth], np.finfo(np.float32).tiny)
    return float(0 - np.log(picked).mean())  # and not -0.0 where all is certain


class Answers(ABC):
    """Predictions, measures and calibration from log probabilities and classes."""

    @property
    @abstractmethod
    def classes_(self) -> np.ndarray:
        """The classes in the order of the probabilities, of the type that the labels had in `fit`."""

    @property
    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """Their names, which are strings whatever the labels were."""

    @property
    @abstractmethod
    def temperature(self) -> float:
        """What scores are divided by before they become probabilities; 1 unless the model was calibrated."""

    @abstractmethod
    def log_probabilities(self, texts: Texts) -> np.ndarray:
        """Log probabilities `[documents, classes]` before calibration, rows in the order of the texts."""

    @abstractmethod
    def _calibrated(self, figures: dict[str, float] | None) -> None:
        """Keep the temperature in `figures`, which are those of `calibrate`; None: a temperature of 1."""

    @property
    @abstractmethod
    def multi_label(self) -> bool:
        """Whether a text may have several of the classes, or none, instead of one."""

    def predict_proba(self, texts: Texts | str) -> np.ndarray:
        """Probabilities `[documents, classes]` float32, rows in the order of the texts, each summing to one; where a
        text may have several labels, the probability of each by itself.

        A document's probabilities are the same whatever it is predicted with.
        """
        return self._probabilities(self.log_probabilities([texts] if isinstance(texts, str) else texts))

    def predict_log_proba(self, texts: Texts | str) -> np.ndarray:
        """The logarithms of `predict_proba`, -inf for a probability of 0."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(texts))

    def _probabilities(self, log_probabilities: np.ndarray) -> np.ndarray:
        """What calibration makes of log probabilities `[documents, classes]`."""
        return (tempered_labels if self.multi_label else tempered)(log_probabilities, self.temperature)

    def predict(self, texts: Texts | str) -> Any:
        """The most probable class of each text, `[documents]` of what `classes_` holds; of one string, one class.

        Where a text may have several labels, a list with a tuple of labels for each, those with a probability above
        0.5 (fastai's threshold); of one string, one tuple.
        """
        probabilities = self.predict_proba(texts)
        if self.multi_label:
            found = [tuple(self.classes_[row].tolist()) for row in given_labels(probabilities)]
            return found[0] if isinstance(texts, str) else found
        best = self.classes_[probabilities.argmax(axis=1)]
        return best.tolist()[0] if isinstance(texts, str) else best

    def evaluate(self, texts: Texts, labels: Sequence[Any]) -> dict[str, Any]:
        """`accuracy`, `error` (1 - accuracy), `loss` (mean cross-entropy in nats), `ece` (expected calibration error in
        15 bins), `n`, `macro_f1` (mean over the classes) and `classes`, by class `precision`, `recall`, `f1` and `n`,
        None where undefined, on labelled texts.

        Where a text may have several labels, `accuracy` is the share of texts whose labels are all right and `loss` the
        mean binary cross-entropy; besides, `label_accuracy` (share of right answers over texts and labels, fastai's
        `accuracy_multi`) and `micro_f1` (over all texts and labels).

        Raises:
            DataError: no texts, or a label that the model does not know.
        """
        data, truth = self._labelled(texts, labels, "evaluation", "evaluate")
        probabilities = self.predict_proba(data.texts)
        if self.multi_label:
            figures = evaluated_labels(probabilities, truth, self.class_names)
            return {**figures, "ece": label_calibration_error(probabilities, truth)}
        return {
            **evaluated(probabilities, truth, self.class_names),
            "ece": expected_calibration_error(probabilities, truth),
        }

    def calibrate(self, texts: Texts, labels: Sequence[Any]) -> dict[str, float]:
        """Fit one temperature on texts that were not trained on (Guo et al. 2017): the most probable classes stay, and
        their probabilities become about as large as they are often right.

        Where a text may have several labels, one temperature for the questions of all labels.

        `predict_proba` uses it from now on, and `save` keeps it. A second call replaces it.

        Returns:
            `temperature` (above 1: the model was too sure; from 0.01 to 100, and a bound where the texts cannot say, as
            where all answers are right), `ece_before` and `ece` (expected calibration error in 15 bins), `loss_before`
            and `loss` (mean cross-entropy in nats), on these very texts, and `n`.

        Raises:
            DataError: no texts, or a label that the model does not know.
        """
        data, truth = self._labelled(texts, labels, "calibration", "calibrate")
        log_probabilities = self.log_probabilities(data.texts)
        if self.multi_label:
            temperature = fitted_label_temperature(log_probabilities, truth)
            each = [tempered_labels(log_probabilities, t) for t in (self.temperature, temperature)]
            errors = [label_calibration_error(probabilities, truth) for probabilities in each]
            losses = [label_cross_entropy(probabilities, truth) for probabilities in each]
        else:
            temperature = fitted_temperature(log_probabilities, truth)
            each = [tempered(log_probabilities, t) for t in (self.temperature, temperature)]
            errors = [expected_calibration_error(probabilities, truth) for probabilities in each]
            losses = [_cross_entropy(probabilities, truth) for probabilities in each]
        figures = {
            "temperature": temperature,
            "ece_before": errors[0],
            "ece": errors[1],
            "loss_before": losses[0],
            "loss": losses[1],
            "n": len(truth),
        }
        self._calibrated(figures)
        return figures

    def uncalibrate(self) -> None:
        """Take back what `calibrate` has done: the temperature is 1 again."""
        self._calibrated(None)

    def score(self, texts: Texts, labels: Sequence[Any]) -> float:
        """Accuracy on labelled texts.

        As in scikit-learn, what `predict` says of a text is wrong if the model does not know its label; `evaluate`
        refuses such a label.

        Raises:
            DataError: no texts, none with a label that the model knows, or, where a text may have several labels, one
                that it does not know.
        """
        data = labelled_texts(texts, labels, "the evaluation data")
        known = set(self.class_names)
        rows = [row for row, name in enumerate(data.labels or ()) if name in known]
        part = data if self.multi_label or not rows else data.select(rows)
        accuracy = float(self.evaluate(part.texts, part.targets or ())["accuracy"])
        return accuracy * (len(part) / len(data))

    def _labelled(self, texts: Texts, labels: Sequence[Any], name: str, verb: str) -> tuple[TextDataset, np.ndarray]:
        """Texts and the indices, or indicators, of their labels."""
        data = labelled_texts(texts, labels, f"the {name} data")
        if not len(data):
            raise DataError(f"there are no texts to {verb} on: give at least one")
        check_kind(data, self.multi_label)
        return data, label_indices(data, self.class_names)


def check_kind(data: TextDataset, multi_label: bool) -> None:
    """Refuse labels of another kind than the model's.

    Raises:
        DataError: one label a text for a model that gives several, or the other way round.
    """
    if multi_label and data.labels is not None:
        raise DataError(
            f"{data.source} has one label a text, but the model gives several: give a list of labels for each text; in "
            "a table, say with label_separator what stands between them, or name a label_column for each"
        )
    if not multi_label and data.label_sets is not None:
        raise DataError(
            f"{data.source} has several labels a text, but the model gives one: train a classifier on texts with "
            "several labels, or give one label for each text"
        )
