"""Labels: which classes there are, and their indices."""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from ulmfit_jax.counted import counted, listed
from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.label_sets import holds_several, label_indicators, label_set_classes, unknown_label
from ulmfit_jax.errors import DataError

_SHOWN = 5
"""Unknown labels that a message names, besides the first."""

_LONGEST_NUMBER = 1000
"""Characters; Python refuses to read a number of thousands of digits."""


def check_labels(dataset: TextDataset, classes: Sequence[str] | None = None) -> tuple[str, ...]:
    """Checks that the labels can be trained on, or that a model knows them.

    Args:
        dataset: what to check.
        classes: the classes that a model knows, in its order; None for training, where the labels make the classes.

    Returns:
        The classes: those given, or those found, sorted (numbers by their value).

    Raises:
        DataError: no labels, a single class in training, or a label that is none of the classes.
    """
    if dataset.label_sets is not None:
        return _check_label_sets(dataset, classes)
    if dataset.labels is None:
        raise DataError(f"{dataset.source} has no labels; give a label for every text.")
    if not len(dataset):
        raise DataError(f"{dataset.source} has no texts; give examples of at least two classes.")
    if classes is None:
        counts = Counter(dataset.labels)
        if len(counts) < 2:
            raise DataError(
                f"{dataset.source} has only the class {', '.join(map(repr, counts))} "
                f"({counted(len(dataset), 'example')}); give examples of at least two classes."
            )
        return tuple(sorted(counts, key=_numbers_by_value(counts)))
    known = set(classes)
    place = next((i for i, label in enumerate(dataset.labels) if label not in known), None)
    if place is not None:
        raise _unknown(dataset, place, dataset.labels[place], classes)
    return tuple(classes)


def _check_label_sets(dataset: TextDataset, classes: Sequence[str] | None) -> tuple[str, ...]:
    assert dataset.label_sets is not None
    if classes is None:
        names = label_set_classes(dataset.label_sets, dataset.source)
        return tuple(sorted(names, key=_numbers_by_value(names)))
    if unknown := unknown_label(dataset.label_sets, classes):
        raise _unknown(dataset, *unknown, classes)
    return tuple(classes)


def _unknown(dataset: TextDataset, place: int, label: str, classes: Sequence[str]) -> DataError:
    """What to say of the first label that is none of the classes, and of others like it."""
    names = set(dataset.texts_by_label())
    others = sorted(names.difference(classes, [label]))
    said = (
        f"{dataset.source}, example {place + 1} has the label {reprlib.repr(label)}, which the model does not know; "
        f"the labels it knows are {listed(classes)}."
    )
    near = [name for name in classes if name.casefold() == label.casefold()]
    if not near and not any(map(str.isdigit, label)):
        near = get_close_matches(label, classes, 1, 0.8)
    if near:
        said += f" Is {near[0]!r} meant?"
    if others:
        said += f" Other unknown labels: {listed(others, _SHOWN, reprlib.repr)}."
    if names.isdisjoint(classes) and not near:
        said += " None of its labels is known: is that the column of the labels?"
    return DataError(said)


def label_indices(dataset: TextDataset, classes: Sequence[str]) -> np.ndarray:
    """The index of each example's label among the classes, [examples] int32; where a text may have several labels,
    their indicators, [examples, classes] int32.

    Raises:
        DataError: no labels, or a label that is none of the classes.
    """
    check_labels(dataset, classes)
    if dataset.label_sets is not None:
        return label_indicators(dataset.label_sets, classes)
    index = {name: i for i, name in enumerate(classes)}
    return np.array([index[label] for label in dataset.labels or ()], dtype=np.int32)


def label_type(labels: Sequence[Any]) -> str | None:
    """What labels are besides their names: `int` or `bool` where all of them are, else None, names alone.

    Of texts with several labels, these are what it is about.
    """
    if any(holds_several(label) for label in labels):
        labels = [name for names in labels if holds_several(names) for name in names]
    if not len(labels):
        return None
    if all(isinstance(label, bool | np.bool_) for label in labels):
        return "bool"
    if all(isinstance(label, int | np.integer) and not isinstance(label, bool) for label in labels):
        return "int"
    return None


def typed_labels(names: Sequence[str], kind: str | None) -> np.ndarray:
    """Classes as they were given in training, `[classes]`, from their names; the inverse of `label_type`.

    Raises:
        ValueError: there is no such type, or a name is not of it.
    """
    if kind is None:
        return np.array(names)
    if kind not in ("int", "bool"):
        raise ValueError("a label_type that is none")
    try:
        values = [int(name) for name in names] if kind == "int" else [name == "True" for name in names]
    except ValueError:
        values = []
    if [str(value) for value in values] != list(names):
        raise ValueError(f"labels that are not all of the label_type {kind}")
    return np.array(values)


def _numbers_by_value(labels: Iterable[str]) -> Callable[[str], tuple[int, str]]:
    """A sorting key: "10" after "9" if all labels are whole numbers, else by the characters."""
    if all(label.removeprefix("-").isdecimal() and len(label) <= _LONGEST_NUMBER for label in labels):
        return lambda label: (int(label), label)
    return lambda label: (0, label)


def given_probabilities(labels: Any, classes: Sequence[str]) -> np.ndarray | None:
    """Labels that are rows of floats, in an array or in lists, as probabilities `[documents, classes]` float32; None:
    they are others.

    Raises:
        DataError: not one for each class, or a row that is not finite, has one below 0 or does not sum to 1.
    """
    if isinstance(labels, list | tuple) and len(labels) and all(isinstance(row, list | tuple) for row in labels):
        if not all(isinstance(number, float) for row in labels for number in row) or not labels[0]:
            return None
        if len({len(row) for row in labels}) > 1:
            raise DataError("the rows of probabilities are not of one length: give one for each class")
        labels = np.array(labels)
    if not isinstance(labels, np.ndarray) or labels.ndim != 2 or labels.dtype.kind != "f":
        return None
    if labels.shape[1] != len(classes):
        raise DataError(
            f"there are probabilities of {labels.shape[1]} classes, but the classes are {', '.join(classes)}"
        )
    wrong = ~(labels >= 0).all(axis=1) | ~np.isclose(labels.sum(axis=1, dtype=np.float64), 1, atol=1e-3)
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(f"labels[{row}] is {labels[row]}: probabilities are 0 at least, and those of a text sum to 1")
    return labels.astype(np.float32)
