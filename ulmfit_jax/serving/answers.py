"""What a model says, as plain values for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

import ulmfit_jax
from ulmfit_jax.ensemble import Ensemble
from ulmfit_jax.inference.coloured import FAINTEST, shares
from ulmfit_jax.inference.label_answers import given_labels
from ulmfit_jax.serving.limits import Limits
from ulmfit_jax.serving.questions import ExplanationQuestion
from ulmfit_jax.text_classifier import TextClassifier


class ServedModel:
    """A classifier or an ensemble under the name that people see; not to be used by two threads at once."""

    def __init__(self, model: TextClassifier | Ensemble, name: str):
        """Bind a trained model."""
        self._model, self.name = model, name
        self.labels = list(model.class_names)
        self.methods = model.explanation_methods
        """How answers can be explained, the default first; none where they cannot."""

    def warm_up(self) -> None:
        """Compile what the first text needs, so that it is answered at once."""
        self.predictions([""])
        if self.methods:
            self.explanation(ExplanationQuestion("a", None, self.methods[0]))

    def predictions(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """For each text `label`, its `probability`, and `probabilities` by label; where a text may have several labels,
        `label` is the most probable one and `labels` are those given."""
        return [self._answer(row) for row in self._model.predict_proba(texts)]

    def _answer(self, row: np.ndarray) -> dict[str, Any]:
        best = int(row.argmax())
        by_label = dict(zip(self.labels, row.tolist(), strict=True))
        answer = {"label": self.labels[best], "probability": float(row[best]), "probabilities": by_label}
        if self._model.multi_label:
            answer["labels"] = [name for name, given in zip(self.labels, given_labels(row), strict=True) if given]
        return answer

    def explanation(self, question: ExplanationQuestion) -> dict[str, Any]:
        """`label`, its `probability`, `method`, and `words`, each with its `importance` and its `shade`.

        The shade is the colour's depth, from -1 (against the label) to 1, and 0 for a word without colour.
        """
        explained = self._model.explain(question.text, question.label, question.method)
        return {
            "label": explained.label,
            "probability": explained.probability,
            "method": explained.method,
            "words": [
                {"word": word, "importance": importance, "shade": share if abs(share) >= FAINTEST else 0.0}
                for (word, share), importance in zip(shares(explained), explained.importances.tolist(), strict=True)
            ],
        }

    def about(self, limits: Limits) -> dict[str, Any]:
        """What the model is, and how much may be asked of it at a time."""
        is_one = isinstance(self._model, TextClassifier)
        members = [self._model] if isinstance(self._model, TextClassifier) else self._model.members
        return {
            "name": self.name,
            "kind": "classifier" if is_one else "ensemble",
            "labels": self.labels,
            "multi_label": self._model.multi_label,
            "explains": len(self.methods) > 0,
            "methods": list(self.methods),
            "members": len(members),
            "backwards": [member.artifact.backwards for member in members],
            "architecture": members[0].artifact.architecture.to_dict(),
            "tokenizer": members[0].artifact.tokenizer.kind,
            "limits": asdict(limits),
            "version": ulmfit_jax.__version__,
        }
