"""Counts in sentences for people: "1 text", "2,000 texts"."""

from __future__ import annotations

from collections.abc import Callable, Iterable


def listed(names: Iterable[str], most: int = 20, spelled: Callable[[str], str] = repr) -> str:
    """Names for a sentence, as `spelled` puts them in quotation marks: the first ones, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - most:,} more" if len(every) > most else ""
    return ", ".join(map(spelled, every[:most])) + more


def counted(count: int, noun: str, several: str | None = None) -> str:
    """A number with its noun, which is `several` (by default the noun with an s) for any number but 1."""
    return f"{count:,} {noun if count == 1 else several or f'{noun}s'}"


def also_learnt(count: int) -> str:
    """What to say of so many test texts, one at least, that are among the labelled texts, too."""
    return f"{count:,} of the test texts {'is' if count == 1 else 'are'} also among the training texts"
