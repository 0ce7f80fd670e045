"""Everything that a report shows of a run, gathered before a line of the page is written."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

import ulmfit_jax
from ulmfit_jax.answers import evaluated
from ulmfit_jax.artifact import Artifact
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.labels import label_indices
from ulmfit_jax.report.measures import (
    Agreement,
    Calibration,
    ClassScores,
    agreement,
    calibration,
    class_scores,
    confusion_matrix,
)
from ulmfit_jax.report.stages import TrainingRecord
from ulmfit_jax.text.rules import UNK_ID

_PACKAGES = ("jax", "flax", "optax", "orbax-checkpoint", "numpy", "scikit-learn")


@dataclass(frozen=True)
class Answered:
    """A classifier's answers on labelled texts, and the baseline's.

    Attributes:
        name: `test` or `validation`.
        data: the texts, with labels.
        classes: names of the classes.
        probabilities: `[texts, classes]`.
        baseline: the baseline's answers, an index for each text; None where there is no baseline.
        baseline_name: what it is, or why there is none.
        rows: number of each text in what `data` was taken from, from 1.
        seconds: time that answering took, under `name` and `baseline`.
    """

    name: str
    data: TextDataset
    classes: tuple[str, ...]
    probabilities: np.ndarray
    baseline: np.ndarray | None
    baseline_name: str
    rows: Sequence[int]
    seconds: dict[str, float]

    @cached_property
    def truth(self) -> np.ndarray:
        """Index of each text's class, `[texts]`."""
        return label_indices(self.data, self.classes)

    @cached_property
    def predicted(self) -> np.ndarray:
        """Index of the most probable class, `[texts]`."""
        return self.probabilities.argmax(axis=1)

    @cached_property
    def confidence(self) -> np.ndarray:
        """Its probability, `[texts]`."""
        return self.probabilities.max(axis=1)

    @cached_property
    def right(self) -> np.ndarray:
        """Whether it is the text's class, `[texts]` bool."""
        return self.predicted == self.truth

    @cached_property
    def confusion(self) -> np.ndarray:
        """Texts of each class (rows) by answer (columns)."""
        return confusion_matrix(self.truth, self.predicted, len(self.classes))

    @cached_property
    def scores(self) -> ClassScores:
        """Precision, recall and F1."""
        return class_scores(self.confusion)

    @cached_property
    def calibration(self) -> Calibration:
        """Accuracy by confidence."""
        return calibration(self.confidence, self.right)

    @cached_property
    def baseline_scores(self) -> ClassScores | None:
        """The baseline's precision, recall and F1."""
        if self.baseline is None:
            return None
        return class_scores(confusion_matrix(self.truth, self.baseline, len(self.classes)))

    @property
    def figures(self) -> dict[str, Any]:
        """Those of `Answers.evaluate`, but `ece`, which `calibration` has."""
        return evaluated(self.probabilities, self.truth, self.classes)

    @property
    def baseline_figures(self) -> dict[str, Any]:
        """The baseline's `accuracy` and `error`, None where there is none, and its `name`."""
        if self.baseline is None:
            return {"accuracy": None, "error": None, "name": self.baseline_name}
        accuracy = float((self.baseline == self.truth).mean())
        return {"accuracy": accuracy, "error": 1 - accuracy, "name": self.baseline_name}

    @cached_property
    def agreement(self) -> Agreement | None:
        """The model beside the baseline, text by text."""
        return None if self.baseline is None else agreement(self.right, self.baseline == self.truth)

    def __len__(self) -> int:
        return len(self.data)


@dataclass(frozen=True)
class RunFacts:
    """What a page shows.

    Attributes:
        command: the exact command.
        report: the contents of `report.json`.
        artifact: the trained classifier.
        trainings: what its stages did.
        data: the labelled texts.
        tokens: the same as the model reads them.
        answered: answers on the test texts, else on the validation texts; None where nothing was measured.
        held_out: labelled texts that measured each epoch.
        device: what it ran on.
        versions: of the software, by name.
        date: when the page was written.
    """

    command: str
    report: dict[str, Any]
    artifact: Artifact
    trainings: Sequence[TrainingRecord]
    data: TextDataset
    tokens: Corpus
    answered: Answered | None
    held_out: int
    device: str
    versions: dict[str, str]
    date: str

    @cached_property
    def unknown_share(self) -> float | None:
        """Share of the tokens that are unknown words; None for a tokeniser that knows every word."""
        if not self.artifact.tokenizer.closed_vocabulary:
            return None
        return float((self.tokens.tokens == UNK_ID).mean()) if self.tokens.n_tokens else 0.0

    @cached_property
    def cut_share(self) -> float:
        """Share of the texts that are longer than what the classifier pools."""
        return float((self.tokens.lengths > int(self.artifact.settings["max_length"])).mean())


def device_name(count: int | None) -> str:
    """The devices of this process in words, such as `4 × NVIDIA H100`."""
    import jax

    devices = jax.devices()[:count]
    kind = devices[0].device_kind
    if devices[0].platform == "cpu":
        kind = f"CPU ({platform.machine()}, {os.cpu_count()} logical cores)"
    return kind if len(devices) == 1 else f"{len(devices)} × {kind}"


def software_versions() -> dict[str, str]:
    """Versions of this library, of Python and of what decides the numbers."""
    found = {"ulmfit-jax": ulmfit_jax.__version__, "Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # a copy without its metadata
            continue
    return found
