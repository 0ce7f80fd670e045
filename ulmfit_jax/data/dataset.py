"""Texts and their labels, as everything that trains or measures takes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ulmfit_jax.counted import counted
from ulmfit_jax.data.corpus import texts_fingerprint
from ulmfit_jax.data.label_sets import LabelSet, as_line
from ulmfit_jax.errors import DataError


@dataclass(frozen=True)
class TextDataset:
    """Texts and, where there are any, one label for each, or several.

    Attributes:
        texts: the documents, raw.
        labels: one string for each text, or None.
        source: where they come from, for messages.
        label_sets: where a text may have several labels, those of each text, possibly none; `labels` is None then.
    """

    texts: Sequence[str]
    labels: Sequence[str] | None
    source: str
    label_sets: Sequence[LabelSet] | None = None

    def __post_init__(self) -> None:
        if self.targets is not None and len(self.targets) != len(self.texts):
            found = f"{counted(len(self.texts), 'text')} and {counted(len(self.targets), 'label')}"
            raise DataError(f"{self.source} has {found}; give one label for each.")

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def targets(self) -> Sequence[str] | Sequence[LabelSet] | None:
        """The labels, one or several a text, as `TextClassifier.fit` and `evaluate` take them; None without labels."""
        return self.labels if self.label_sets is None else self.label_sets

    @property
    def label_lines(self) -> Sequence[str]:
        """One string for each text that says its labels, for fingerprints; none without labels."""
        return (self.labels or ()) if self.label_sets is None else [as_line(names) for names in self.label_sets]

    def texts_by_label(self) -> Counter[str]:
        """How many texts have each label; none where there are no labels."""
        if self.label_sets is not None:
            return Counter(name for names in self.label_sets for name in names)
        return Counter(self.labels or ())

    def shared_with(self, other: TextDataset) -> int:
        """How many of the texts are among those of the other one, too."""
        known = set(other.texts)
        return sum(text in known for text in self.texts)

    def fingerprint(self) -> str:
        """SHA-256 of the texts, their labels and their order, as hexadecimal digits."""
        return texts_fingerprint([*self.texts, *self.label_lines])

    def select(self, indices: Iterable[int] | np.ndarray) -> TextDataset:
        """The examples at `indices`, in that order."""
        chosen = [int(i) for i in indices]
        labels = None if self.labels is None else [self.labels[i] for i in chosen]
        label_sets = None if self.label_sets is None else [self.label_sets[i] for i in chosen]
        return TextDataset([self.texts[i] for i in chosen], labels, self.source, label_sets)
