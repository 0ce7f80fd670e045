"""Documents spread over parts, each of which is answered by a model of the others."""

from __future__ import annotations

import numpy as np

FOLDS = 5


def fold_of_each(groups: np.ndarray, folds: int = FOLDS, seed: int = 0) -> np.ndarray:
    """The part of each document, below `folds`: those of each group are spread over all parts at random.

    Args:
        groups: a whole number for each document, as a rule its class, `[documents]`.
        folds: number of parts; some are empty where there are fewer documents.
        seed: of the draw.
    """
    generator = np.random.default_rng(seed)
    part = np.zeros(len(groups), np.int64)
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        part[rows] = (generator.permutation(len(rows)) + generator.integers(folds)) % folds
    return part
