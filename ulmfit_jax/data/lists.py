"""Texts and labels that are given as Python lists, pandas columns or NumPy arrays."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ulmfit_jax.data.records import Record, clean_label
from ulmfit_jax.errors import DataError


def text_list(texts: Iterable[str]) -> list[str]:
    """A list of strings, or a sentence about what else was found."""
    texts = _as_iterable(texts)
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        raise DataError(f"texts is {'one string' if isinstance(texts, str) else texts!r:.40}: give a list of texts")
    found = list(texts)
    for index, text in enumerate(found):
        if not isinstance(text, str):
            found_here = f"{type(text).__name__} ({reprlib.repr(text):.40})"
            raise DataError(f"text {index} is a {found_here}, it has to be a string")
    return found


def label_list(labels: Sequence[Any]) -> list[str]:
    """The labels as strings, by the rules for labels in files, or a sentence about the first one that is missing."""
    found = []
    for index, label in enumerate(label_values(labels)):
        name = clean_label(Record(f"label {index}", ("",), label), "labels")
        if name is None:
            raise DataError(f"label {index} is missing: give a label for each text, and texts without one as unlabeled")
        found.append(name)
    return found


def label_values(labels: Sequence[Any]) -> list[Any]:
    """The labels as they are, or a sentence about what else was found."""
    labels = _as_iterable(labels)
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise DataError(f"labels is {labels!r:.40}: give a list with one label for each text")
    return list(labels)


def _as_iterable(column: Any) -> Any:
    """What NumPy can make a column of as an array, though it may not be iterated over; a single value as it is."""
    if not hasattr(column, "__array__"):
        return column
    array = np.asarray(column)
    if not array.ndim:
        return array.tolist()
    return column if isinstance(column, Iterable) else array
