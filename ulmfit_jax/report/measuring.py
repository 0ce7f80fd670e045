"""Answers of a trained classifier and of the baseline on the same texts."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from ulmfit_jax.answers import Answers
from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.labels import label_indices
from ulmfit_jax.report.facts import Answered
from ulmfit_jax.report.label_facts import AnsweredLabels

BASELINE = "TF-IDF (1-2-grams) and logistic regression"


def measure(
    model: Answers, name: str, learnt: TextDataset, data: TextDataset, rows: Sequence[int] | None = None
) -> Answered:
    """Let a classifier and the baseline answer.

    Args:
        model: a trained classifier.
        name: what `data` is, `test` or `validation`.
        learnt: labelled texts that the baseline learns from.
        data: labelled texts to answer on.
        rows: number of each in what it was taken from, from 1; None: all of it, in order.
    """
    started = time.monotonic()
    probabilities = model.predict_proba(data.texts)
    tested = time.monotonic()
    classes = model.class_names
    baseline = _baseline_answers(learnt, data, classes)
    kind = AnsweredLabels if model.multi_label else Answered
    return kind(
        name,
        data,
        classes,
        probabilities,
        baseline,
        BASELINE if baseline is not None else f"{BASELINE}: none, it finds no words in the training texts",
        range(1, len(data) + 1) if rows is None else rows,
        {name: round(tested - started, 3), "baseline": round(time.monotonic() - tested, 3)},
    )


def _baseline_answers(learnt: TextDataset, data: TextDataset, classes: Sequence[str]) -> np.ndarray | None:
    """Its answers as indices of `classes`, `[texts]`, or, where a text may have several labels, which are given,
    `[texts, classes]` bool; None where it finds no words to learn."""
    from ulmfit_jax.baseline import tfidf_labels, tfidf_model

    if learnt.label_sets is not None:
        try:
            return tfidf_labels(learnt.texts, label_indices(learnt, classes), data.texts)
        except ValueError:  # scikit-learn finds no word in the training texts
            return None
    index = {name: number for number, name in enumerate(classes)}
    try:
        model = tfidf_model(learnt.texts, learnt.labels or ())
    except ValueError:  # scikit-learn finds no word in the training texts
        return None
    return np.array([index[str(name)] for name in model.predict(data.texts)], np.int64)
