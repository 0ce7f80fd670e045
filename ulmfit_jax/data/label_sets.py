"""Several labels a text: what they may look like in a source, which there are, and their indicators.

A text has any number of labels, none too. In a source they are a list; or one cell in which a separator stands between
them; or several columns, one for each label, that say yes or no.
"""

from __future__ import annotations

import json
import reprlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ulmfit_jax.data.records import Record, clean_label, is_missing
from ulmfit_jax.errors import DataError

LabelSet = tuple[str, ...]
"""The labels of a text, sorted, each once."""

_YES, _NO = ("1", "true", "yes"), ("0", "false", "no", "")


def holds_several(label: Any) -> bool:
    """Whether a label is a collection of labels, or the values of several columns."""
    return isinstance(label, list | tuple | set | frozenset | Mapping) or getattr(label, "ndim", 0) == 1


def clean_label_set(record: Record, source: str, separator: str | None = None) -> LabelSet | None:
    """The labels of a record, None where they are missing; see `clean_label` for each.

    An empty list, and with a separator an empty cell, is a text to which none of the labels applies.

    Raises:
        DataError: the labels are no such thing; says where.
    """
    label = record.label
    if isinstance(label, Mapping):
        return _of_columns(label, record, source)
    if separator is not None and (isinstance(label, str) or is_missing(label)):
        parts: Iterable[Any] = [] if is_missing(label) else [p for p in label.split(separator) if p.strip()]
    elif is_missing(label):
        return None
    elif not holds_several(label):
        how = "as a list" if separator is None else f"as text with {separator!r} between its labels"
        raise DataError(
            f"{source}, {record.place}: the label is {reprlib.repr(label):.60} where several labels a text are "
            f"expected; give every text's {how}."
        )
    else:
        parts = sorted(label, key=repr) if isinstance(label, set | frozenset) else label
    names = []
    for part in parts:
        name = None if holds_several(part) else clean_label(record._replace(label=part), source)
        if name is None:
            raise DataError(
                f"{source}, {record.place}: one of the labels is {reprlib.repr(part):.60}; give strings or numbers, "
                "and an empty list for a text to which none applies."
            )
        names.append(name)
    return tuple(sorted(set(names)))


def _of_columns(values: Mapping[str, Any], record: Record, source: str) -> LabelSet:
    names = []
    for name, value in values.items():
        said = "" if is_missing(value) else str(value).strip().lower().removesuffix(".0")
        if said not in (*_YES, *_NO):
            raise DataError(
                f"{source}, {record.place}: the column {name!r} holds {reprlib.repr(value):.60}; where several columns "
                "are labels, each says 1 or 0 (or true or false, yes or no) of a text."
            )
        if said in _YES:
            names.append(name.strip())
    return tuple(sorted(names))


def label_set_classes(label_sets: Sequence[LabelSet], source: str) -> list[str]:
    """The labels that there are, each once, in no order.

    Raises:
        DataError: none, or a single one that every text has.
    """
    counts = Counter(name for names in label_sets for name in names)
    if not counts:
        raise DataError(f"{source} has no text with a label; give texts with labels, and some of them several.")
    if len(counts) == 1 and counts.total() == len(label_sets):
        raise DataError(f"{source} has only the label {next(iter(counts))!r}, on every text; give texts without it.")
    return list(counts)


def unknown_label(label_sets: Sequence[LabelSet], classes: Iterable[str]) -> tuple[int, str] | None:
    """The first example with a label that is none of the classes, and that label; None where there is none."""
    known = set(classes)
    return next(((i, name) for i, names in enumerate(label_sets) for name in names if name not in known), None)


def label_indicators(label_sets: Sequence[LabelSet], classes: Sequence[str]) -> np.ndarray:
    """1 where an example has a label, else 0: `[examples, classes]` int32."""
    index = {name: number for number, name in enumerate(classes)}
    indicators = np.zeros((len(label_sets), len(classes)), np.int32)
    for row, names in enumerate(label_sets):
        indicators[row, [index[name] for name in names]] = 1
    return indicators


def rarest_labels(label_sets: Sequence[LabelSet]) -> list[str]:
    """For each example the rarest of its labels, "" for none: what a split takes for its class.

    So every label gets about its share of a split, the rare ones, for which chance would do worst, first of all (the
    idea of iterative stratification, Sechidis et al. 2011, in one pass).
    """
    counts = Counter(name for names in label_sets for name in names)
    return [min(names, key=lambda name: (counts[name], name), default="") for names in label_sets]


def as_line(names: LabelSet) -> str:
    """The labels of a text as one string that no other labels give."""
    return json.dumps(names, ensure_ascii=False)
