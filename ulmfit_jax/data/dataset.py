"""Texts and their labels, as everything that trains or measures takes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

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
        n_valid: how many of the last texts only measure a training and are not learnt from; 0: none is set apart.
        valid_source: where these come from.
    """

    texts: Sequence[str]
    labels: Sequence[str] | None
    source: str
    label_sets: Sequence[LabelSet] | None = None
    n_valid: int = 0
    valid_source: str = ""

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
        """SHA-256 of the texts, their labels, their order and which are set apart, as hexadecimal digits."""
        apart = [f"{self.n_valid} measure"] if self.n_valid else []
        return texts_fingerprint([*self.texts, *self.label_lines, *apart])

    def select(self, indices: Iterable[int] | np.ndarray) -> TextDataset:
        """The examples at `indices`, in that order, none of them set apart."""
        chosen = [int(i) for i in indices]
        labels = None if self.labels is None else [self.labels[i] for i in chosen]
        label_sets = None if self.label_sets is None else [self.label_sets[i] for i in chosen]
        return TextDataset([self.texts[i] for i in chosen], labels, self.source, label_sets)

    def with_valid(self, valid: TextDataset) -> TextDataset:
        """These texts to learn from, and those of `valid` after them, set apart to measure on.

        Raises:
            DataError: `valid` has no texts, no labels, or others than these: one a text where here are several, or a
                label that none of these texts has.
        """
        if not len(valid) or valid.targets is None:
            raise DataError(f"{valid.source} has no {'labels' if len(valid) else 'texts'}; give some to measure on.")
        if (self.label_sets is None) != (valid.label_sets is None):
            here, there = ("one label a text", "several")[:: 1 if self.label_sets is None else -1]
            raise DataError(f"{self.source} has {here}, but {valid.source} {there}; give both the same kind.")
        if unknown := sorted(set(valid.texts_by_label()) - set(self.texts_by_label())):
            raise DataError(
                f"{valid.source} has the label {unknown[0]!r}, which no text of {self.source} has; nothing could be "
                "learnt of it."
            )
        texts = [*self.texts, *valid.texts]
        if self.label_sets is not None:
            label_sets = [*self.label_sets, *(valid.label_sets or ())]
            return TextDataset(texts, None, self.source, label_sets, len(valid), valid.source)
        labels = [*(self.labels or ()), *(valid.labels or ())]
        return TextDataset(texts, labels, self.source, None, len(valid), valid.source)

    @property
    def valid(self) -> TextDataset | None:
        """The texts that are set apart; None where none are."""
        if not self.n_valid:
            return None
        return replace(self.select(range(len(self) - self.n_valid, len(self))), source=self.valid_source)

    @property
    def without_valid(self) -> TextDataset:
        """The texts that are not set apart."""
        return self.select(range(len(self) - self.n_valid)) if self.n_valid else self
