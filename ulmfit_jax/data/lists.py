"""Texts and labels that are given as Python lists, pandas columns or NumPy arrays."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.label_sets import LabelSet, clean_label_set, holds_several
from ulmfit_jax.data.records import Record, clean_label
from ulmfit_jax.errors import DataError


def text_list(texts: Iterable[str], name: str = "texts") -> list[str]:
    """A list of strings, or a sentence about what else was found in the argument `name`."""
    texts = _as_iterable(texts)
    check_collection(texts, name)
    found = list(texts)
    for index, text in enumerate(found):
        if not isinstance(text, str):
            raise DataError(f"{name}[{index}] is {reprlib.repr(text):.40}, not a string")
    return found


def check_collection(texts: Any, name: str = "texts") -> None:
    """Refuse what is no collection of texts, such as one string, whose letters would be texts, or a table, whose names
    of columns would be; reads nothing.

    Raises:
        DataError: see above.
    """
    if isinstance(texts, Mapping) or hasattr(texts, "columns"):
        raise DataError(f"{name} is a {type(texts).__name__}: give one column of it, such as table['text']")
    if isinstance(texts, str):
        raise DataError(f"{name} is one string, {reprlib.repr(texts)}: give a list of texts; files are not read here")
    if not isinstance(texts, Iterable):
        raise DataError(f"{name} is {texts!r:.40}: give a list of texts")


def check_rereadable(texts: Any, name: str = "texts") -> None:
    """The same, and refuse what can be read only once, such as a generator.

    Raises:
        DataError: see above.
    """
    check_collection(texts, name)
    if isinstance(texts, Iterator):
        raise DataError(
            f"{name} is a {type(texts).__name__}, which can be read only once: give a list, or a collection that can "
            "be read again, such as ulmfit_jax.data.TextStream"
        )


def labelled_texts(texts: Iterable[str], labels: Sequence[Any], source: str) -> TextDataset:
    """Texts with one label each, or, where a label is a collection, with several.

    Raises:
        DataError: texts or labels are no such thing, or not as many of one as of the other.
    """
    found, values = text_list(texts), label_values(labels)
    if any(holds_several(value) for value in values):
        return TextDataset(found, None, source, _label_sets(values))
    return TextDataset(found, label_list(values), source)


def _label_sets(values: Sequence[Any]) -> list[LabelSet]:
    """The labels of each text by the rules for labels in files."""
    found = []
    for index, value in enumerate(values):
        names = clean_label_set(Record(f"label {index}", ("",), value), "labels")
        if names is None:
            raise DataError(f"label {index} is missing: give an empty list for a text to which no label applies")
        found.append(names)
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
    if isinstance(labels, np.ndarray) and labels.ndim > 1:
        if labels.size == len(labels):  # a column
            return list(labels.reshape(len(labels)))
        raise DataError(
            f"labels is a table of {' x '.join(map(str, labels.shape))}: give a label for each text, or, where a text "
            "may have several, a list of names for each (scikit-learn's MultiLabelBinarizer.inverse_transform makes "
            "them of indicators)"
        )
    return list(labels)


def _as_iterable(column: Any) -> Any:
    """What NumPy can make a column of as an array, though it may not be iterated over; a single value as it is."""
    if not hasattr(column, "__array__"):
        return column
    array = np.asarray(column)
    if not array.ndim:
        return array.tolist()
    return column if isinstance(column, Iterable) else array
