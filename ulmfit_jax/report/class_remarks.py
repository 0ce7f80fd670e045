"""Which classes a person should look at: never answered, mostly missed, not measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ulmfit_jax.report.facts import Answered

_LOW_RECALL = 0.5
_MOST_NAMES = 8


def class_remarks(answered: Answered, never_said: str, has: str) -> Iterator[str]:
    """Sentences about classes, the weightiest first.

    Args:
        answered: the answers.
        never_said: what is said of classes that no text was given.
        has: what a text of a class does: it belongs to it, or has it.
    """
    scores = answered.scores
    rows = list(zip(answered.classes, scores.answered, scores.support, scores.recall, strict=True))
    if never := [name for name, given, texts, _ in rows if texts and not given]:
        yield f"{never_said}: {_listed(never)}."
    if missed := [name for name, given, _, recall in rows if given and recall < _LOW_RECALL]:
        yield f"Fewer than half of the texts are found of: {_listed(missed)}."
    if absent := [name for name, _, texts, _ in rows if not texts]:
        yield f"Not measured, as none of the texts {has} it: {_listed(absent)}."


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(f"“{name}”" for name in names[:_MOST_NAMES]) + more
