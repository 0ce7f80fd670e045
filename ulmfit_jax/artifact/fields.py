"""What may stand in a model's configuration: checked, as another hand than this library's may have written it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ulmfit_jax.data.labels import typed_labels
from ulmfit_jax.inference.temperature import checked_temperature

LARGEST_SIZE: Final = 1 << 28
"""Of a layer or a vocabulary: far more than any model has."""
_LARGEST_SETTING: Final = 1 << 24
_NUMBERS: Final = ("bptt", "max_length")


def checked_labels(labels: Any) -> tuple[str, ...]:
    """The names of the classes.

    Raises:
        ValueError: they are no list of different strings.
    """
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError("labels that are no list of strings")
    if len(set(labels)) < len(labels):
        raise ValueError("labels that are not all different")
    return tuple(labels)


def checked_settings(settings: Any, labels: Sequence[str]) -> dict[str, Any]:
    """What using the model with these classes depends on.

    Raises:
        ValueError: they are no object, a number in it is absurd, or the labels are not of its `label_type`.
    """
    if not isinstance(settings, dict):
        raise ValueError("settings that are no object")
    for name in _NUMBERS:
        value = settings.get(name, 1)
        if not isinstance(value, int) or not 1 <= value <= _LARGEST_SETTING:
            raise ValueError(f"a {name} that is no number of tokens")
    checked_temperature(settings.get("temperature", 1.0))
    typed_labels(labels, settings.get("label_type"))
    return dict(settings)
