"""How much each class counts in a classifier's loss."""

from __future__ import annotations

import math
import reprlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ulmfit_jax.counted import listed
from ulmfit_jax.data.records import Record, clean_label
from ulmfit_jax.errors import ConfigError

ClassWeight = str | Mapping[Any, float] | None
"""`balanced`, weights by label, or None, where every document counts as much."""


def check_class_weight(chosen: ClassWeight) -> None:
    """Refuse what cannot be weights, whatever the classes are.

    Raises:
        ConfigError: neither None nor `balanced` nor a mapping; or a weight that is no finite number above 0.
    """
    if chosen is None or chosen == "balanced":
        return
    if not isinstance(chosen, Mapping):
        raise ConfigError(
            f"class_weight is {reprlib.repr(chosen)}: give 'balanced', a dictionary of a weight for each label, or None"
        )
    for label, weight in chosen.items():
        if isinstance(weight, bool | np.bool_ | str) or not _is_weight(weight):
            raise ConfigError(
                f"class_weight of {label!r} is {reprlib.repr(weight)}: a weight is a finite number above 0"
            )


def class_weights(chosen: ClassWeight, classes: Sequence[str], labels: Sequence[Any]) -> tuple[float, ...] | None:
    """The weight of each class, as scikit-learn defines `class_weight`; None where all are alike.

    Where a text may have several labels, a class weighs the texts that have it against those that have not.

    Args:
        chosen: `balanced`, documents / (classes * documents of the class), of several labels documents without the
            label / documents with it, where a class without documents weighs 1 and is not counted; or a mapping, in
            which a class that is missing weighs 1.
        classes: names of the classes, in the order of the outputs.
        labels: what people gave, one label or a tuple of labels for each text, each counted for `balanced`.

    Raises:
        ConfigError: see `check_class_weight`; or a label in the mapping that is none of the classes, or is there twice.
    """
    check_class_weight(chosen)
    if chosen is None:
        return None
    if isinstance(chosen, str):
        if any(isinstance(label, tuple) for label in labels):
            found_in = Counter(name for names in labels for name in set(names))
            counts = [found_in[name] for name in classes]
            return tuple(max(len(labels) - count, 1) / count if count else 1.0 for count in counts)
        by_label = Counter(labels)
        counts = [by_label[name] for name in classes]
        found = sum(count > 0 for count in counts)
        return tuple(len(labels) / (found * count) if count else 1.0 for count in counts)
    by_name: dict[str, float] = {}
    for label, weight in chosen.items():
        name = clean_label(Record(f"the label {label!r:.40}", ("",), label), "class_weight")
        if name is None or name not in classes or name in by_name:
            wrong = "twice" if name in by_name else f"which is none of the labels {listed(classes)}"
            raise ConfigError(f"class_weight names {label!r}, {wrong}: give labels of the texts, each once")
        by_name[name] = float(weight)
    return tuple(by_name.get(name, 1.0) for name in classes)


def _is_weight(weight: Any) -> bool:
    try:
        return 0 < float(weight) < math.inf
    except (TypeError, ValueError, OverflowError):
        return False
