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

Texts = Sequence[str]


def evaluated(probabilities: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """The figures of `Answers.evaluate` from probabilities `[documents, classes]` and indices of classes."""
    accuracy = float((probabilities.argmax(axis=1) == truth).mean())
    picked = np.maximum(probabilities[np.arange(len(truth)), truth], np.finfo(np.float32).tiny)
    loss = float(-np.log(picked).mean())
    return {"accuracy": accuracy, "error": 1 - accuracy, "loss": loss, "n": len(truth)}


class Answers(ABC):
    """Predictions and measures from `predict_proba`, `classes_` and `class_names`."""

    @property
    @abstractmethod
    def classes_(self) -> np.ndarray:
        """The classes in the order of the probabilities, of the type that the labels had in `fit`."""

    @property
    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """Their names, which are strings whatever the labels were."""

    @abstractmethod
    def predict_proba(self, texts: Texts | str) -> np.ndarray:
        """Probabilities `[documents, classes]` float32, rows in the order of the texts, each summing to one."""

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

    def score(self, texts: Texts, labels: Sequence[Any]) -> float:
        """Accuracy on labelled texts."""
        return self.evaluate(texts, labels)["accuracy"]
