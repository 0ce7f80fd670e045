"""Cutting a validation set from training examples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from ulmfit_jax.counted import counted
from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.label_sets import rarest_labels
from ulmfit_jax.errors import ConfigError, DataError


def train_validation_split(
    texts: Sequence[str], labels: Sequence[str] | None = None, *, fraction: float = 0.1, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Draws a validation set in which every class has its share and no text that is also in training.

    Examples with exactly the same text stay together; where they have different labels, they count for the class of
    the first. A class of n examples gives round(fraction · n) of them, or as many fewer as its groups of equal texts
    demand, but at least one text. A class of one text stays in training, with all examples of that text.

    Args:
        texts: of the examples.
        labels: one for each text; None: the examples are one class.
        fraction: share of the examples to validate on, above 0 and below 1; default 0.1 as in the paper's experiments.
        seed: of the draw, not negative.

    Returns:
        (training, validation): indices, rising, int64; each example is in exactly one.

    Raises:
        DataError: no class has two different texts of its own, or there is not one label for each text.
        ConfigError: the fraction is not between 0 and 1, or the seed is negative.
    """
    if not 0 < fraction < 1 or seed < 0:
        raise ConfigError(
            f"The validation fraction must lie between 0 and 1 and the seed be at least 0, not {fraction} and {seed}."
        )
    if labels is not None and len(labels) != len(texts):
        found = f"{counted(len(texts), 'text')} and {counted(len(labels), 'label')}"
        raise DataError(f"There are {found}; give one label for each.")
    generator = np.random.default_rng(seed)
    chosen: list[int] = []
    by_class = _groups_by_class(texts, labels)
    few = {name for name, groups in by_class.items() if len(groups) < 2}
    for name, groups in sorted(by_class.items()):
        free = [group for group in groups if labels is None or few.isdisjoint(labels[i] for i in group)]
        if name not in few and free:
            chosen += _draw([free[i] for i in generator.permutation(len(free))], fraction)
    if not chosen:
        each = " Each text has a label of its own: is that the column of the labels?"
        raise DataError(
            "No class has two different texts of its own, so that none can be held out to measure on: give more texts, "
            f"or set validation_fraction to 0.{each if len(by_class) == len(texts) > 2 else ''}"
        )
    validation = np.array(sorted(chosen), dtype=np.int64)
    return np.setdiff1d(np.arange(len(texts), dtype=np.int64), validation), validation


def split_rows(data: TextDataset, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `data` that are trained on, and those that measure each epoch: the texts that are set apart, or the share
    `fraction`, which may be 0."""
    if data.n_valid:
        first, last = len(data) - data.n_valid, len(data)
        return np.arange(first), np.arange(first, last)
    if not fraction:
        return np.arange(len(data)), np.zeros(0, np.int64)
    labels = data.labels if data.label_sets is None else rarest_labels(data.label_sets)
    return train_validation_split(data.texts, labels, fraction=fraction, seed=seed)


def _groups_by_class(texts: Sequence[str], labels: Sequence[str] | None) -> dict[str, list[list[int]]]:
    """The indices of equal texts, as lists under the class of their first example; every class has an entry."""
    by_text: dict[str, list[int]] = defaultdict(list)
    for index, text in enumerate(texts):
        by_text[text].append(index)
    groups: dict[str, list[list[int]]] = {name: [] for name in ([""] if labels is None else labels)}
    for indices in by_text.values():
        groups["" if labels is None else labels[indices[0]]].append(indices)
    return groups


def _draw(groups: list[list[int]], fraction: float) -> list[int]:
    """The indices of the first groups that fit into the share; of the smallest group if none does."""
    wanted = round(fraction * sum(map(len, groups)))
    drawn: list[int] = []
    for group in groups[:-1]:  # the last group always stays in training
        if len(drawn) + len(group) <= wanted:
            drawn += group
    return drawn or min(groups, key=len)
