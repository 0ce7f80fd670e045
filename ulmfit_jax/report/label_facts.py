"""A classifier's answers on texts that may have several labels: each label of each text is a question."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ulmfit_jax.data.labels import label_indices
from ulmfit_jax.inference.label_answers import evaluated_labels, given_labels
from ulmfit_jax.report.facts import Answered
from ulmfit_jax.report.measures import Agreement, ClassScores, agreement, label_scores
from ulmfit_jax.training.label_measures import micro_f1


@dataclass(frozen=True)
class AnsweredLabels(Answered):
    """As `Answered`, with `baseline` `[texts, classes]` bool, and with `confidence` and `right` of every question,
    `[texts * classes]`, the questions of a text one after the other."""

    @cached_property
    def truth(self) -> np.ndarray:
        """1 where a label applies, `[texts, classes]`."""
        return label_indices(self.data, self.classes)

    @cached_property
    def predicted(self) -> np.ndarray:
        """Where a label is given, `[texts, classes]` bool."""
        return given_labels(self.probabilities)

    @cached_property
    def confidence(self) -> np.ndarray:
        """Probability of each answer, label or not."""
        return np.maximum(self.probabilities, 1 - self.probabilities).reshape(-1)

    @cached_property
    def right(self) -> np.ndarray:
        """Whether each answer is right."""
        return (self.predicted == (self.truth > 0)).reshape(-1)

    @cached_property
    def whole(self) -> np.ndarray:
        """Texts whose labels are all right, `[texts]` bool."""
        return np.asarray(self.right.reshape(len(self), -1).all(axis=1))

    @cached_property
    def scores(self) -> ClassScores:
        """Precision, recall and F1 of each label."""
        return label_scores(self.predicted, self.truth)

    @property
    def figures(self) -> dict[str, Any]:
        """Those of `Answers.evaluate`."""
        return evaluated_labels(self.probabilities, self.truth, self.classes)

    @cached_property
    def baseline_scores(self) -> ClassScores | None:
        """The baseline's."""
        return None if self.baseline is None else label_scores(self.baseline, self.truth)

    @property
    def baseline_figures(self) -> dict[str, Any]:
        """The baseline's `accuracy`, `error`, `micro_f1` and `macro_f1`, None where there is none, and its `name`."""
        if self.baseline is None or self.baseline_scores is None:
            return {"accuracy": None, "error": None, "name": self.baseline_name}
        accuracy = float((self.baseline == (self.truth > 0)).all(axis=1).mean())
        return {
            "accuracy": accuracy,
            "error": 1 - accuracy,
            "micro_f1": micro_f1(self.baseline, self.truth),
            "macro_f1": self.baseline_scores.macro_f1,
            "name": self.baseline_name,
        }

    @cached_property
    def agreement(self) -> Agreement | None:
        """The model beside the baseline, text by text: which has all labels right."""
        if self.baseline is None:
            return None
        return agreement(self.whole, (self.baseline == (self.truth > 0)).all(axis=1))
