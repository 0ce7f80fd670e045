"""Co-training: networks and a linear model over n-grams label texts together (Blum & Mitchell 1998).

Both learn from the same few labels, but look at a text in different ways, so that together they are wrong less often
than either. All labels count, the unsure ones too: from the surest alone a student learns only what both knew. The
n-grams then learn from all of them, which takes seconds, and the labels are given anew, some times over. An n-gram
model never labels a text whose label it has learnt from: others, of four fifths of the texts, do that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from ulmfit_jax.class_shares import shares_of_classes, with_shares
from ulmfit_jax.ngram_table import Ids
from ulmfit_jax.ngrams import counted_ngrams

ROUNDS: Final = 3
"""How often labels are given (experiments/README.md)."""


def joint_labels(
    documents: Sequence[Ids],
    targets: np.ndarray,
    n_classes: int,
    others: Sequence[Ids],
    of_networks: np.ndarray,
) -> np.ndarray:
    """The class of each of the `others` by networks and n-grams together, `[others]` int64.

    Args:
        documents: token ids of labelled documents.
        targets: index of each one's class.
        n_classes: number of classes.
        others: token ids of documents without labels.
        of_networks: the networks' log probabilities of these, `[others, classes]`.

    Raises:
        DataError: the labelled documents have no n-gram in common.
    """
    counted, every = counted_ngrams(documents), counted_ngrams([*documents, *others])
    of_ngrams = counted.fitted(targets, n_classes).log_probabilities(others)
    unseen = counted.cross_validated(targets, n_classes).argmax(axis=1)
    shares = shares_of_classes(targets, unseen, of_ngrams.argmax(axis=1), n_classes)
    labels = np.zeros(len(others), np.int64)
    for number in range(ROUNDS):
        if number:
            of_ngrams = every.cross_validated(np.concatenate([targets, labels]), n_classes)[len(documents) :]
        labels = with_shares(joint_scores([of_networks, of_ngrams]), shares).argmax(axis=1)
    return labels


def joint_scores(views: Sequence[np.ndarray]) -> np.ndarray:
    """Sum of several models' log probabilities `[documents, classes]`, each centred and brought to unit spread.

    Their spreads differ much more than their errors do: a fine-tuned network is far surer of itself than a linear
    model, and would outvote it.
    """
    total = np.zeros(views[0].shape)
    for view in views:
        centred = view - view.mean(axis=1, keepdims=True, dtype=np.float64)
        total += centred / max(float(centred.std()), float(np.finfo(np.float32).tiny))
    return total
