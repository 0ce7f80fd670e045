"""What anything that gives class probabilities can answer: classes, accuracy, loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.labels import label_indices
from ulmfit_jax.data.lists import label_list, text_list
from ulmfit_jax.errors import DataError
from ulmfit_jax.inference.temperature import expected_calibration_error, fitted_temperature, tempered

Texts = Sequence[str]


def evaluated(probabilities: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """The figures of `Answers.evaluate` from probabilities `[documents, classes]` and indices of classes."""
    accuracy = float((probabilities.argmax(axis=1) == truth).mean())
    picked = np.maximum(probabilities[np.arange(len(truth)), truth], np.finfo(np.float32).tiny)
    loss = float(-np.log(picked).mean())
    return {"accuracy": accuracy, "error": 1 - accuracy, "loss": loss, "n": len(truth)}


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
    def _calibrated(self, figures: dict[str, float]) -> None:
        """Keep the temperature in `figures`, which are those of `calibrate`."""

    def predict_proba(self, texts: Texts | str) -> np.ndarray:
        """Probabilities `[documents, classes]` float32, rows in the order of the texts, each summing to one.

        A document's probabilities are the same whatever it is predicted with.
        """
        return tempered(self.log_probabilities([texts] if isinstance(texts, str) else texts), self.temperature)

    def predict(self, texts: Texts | str) -> Any:
        """The most probable class of each text, `[documents]` of what `classes_` holds; of one string, one class."""
        best = self.classes_[self.predict_proba(texts).argmax(axis=1)]
        return best.tolist()[0] if isinstance(texts, str) else best

    def evaluate(self, texts: Texts, labels: Sequence[Any]) -> dict[str, float]:
        """`accuracy`, `error` (1 - accuracy), `loss` (mean cross-entropy in nats) and `n` on labelled texts.

        Raises:
            DataError: no texts, or a label that the model does not know.
        """
        data = TextDataset(text_list(texts), label_list(labels), "the evaluation data")
        if not len(data):
            raise DataError("there are no texts to evaluate on: give at least one")
        return evaluated(self.predict_proba(data.texts), label_indices(data, self.class_names))

    def calibrate(self, texts: Texts, labels: Sequence[Any]) -> dict[str, float]:
        """Fit one temperature on texts that were not trained on (Guo et al. 2017): the most probable classes stay, and
        their probabilities become about as large as they are often right.

        `predict_proba` uses it from now on, and `save` keeps it. A second call replaces it.

        Returns:
            `temperature` (above 1: the model was too sure; from 0.01 to 100, and a bound where the texts cannot say, as
            where all answers are right), `ece_before` and `ece` (expected calibration error in 15 bins), `loss_before`
            and `loss` (mean cross-entropy in nats), on these very texts, and `n`.

        Raises:
            DataError: no texts, or a label that the model does not know.
        """
        data = TextDataset(text_list(texts), label_list(labels), "the calibration data")
        if not len(data):
            raise DataError("there are no texts to calibrate on: give at least one")
        truth = label_indices(data, self.class_names)
        log_probabilities = self.log_probabilities(data.texts)
        before = tempered(log_probabilities, self.temperature)
        temperature = fitted_temperature(log_probabilities, truth)
        after = tempered(log_probabilities, temperature)
        figures = {
            "temperature": temperature,
            "ece_before": expected_calibration_error(before, truth),
            "ece": expected_calibration_error(after, truth),
            "loss_before": evaluated(before, truth)["loss"],
            "loss": evaluated(after, truth)["loss"],
            "n": len(truth),
        }
        self._calibrated(figures)
        return figures

    def score(self, texts: Texts, labels: Sequence[Any]) -> float:
        """Accuracy on labelled texts."""
        return self.evaluate(texts, labels)["accuracy"]
