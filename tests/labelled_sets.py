"""Made-up texts with any number of labels, each of which its own words decide."""

from __future__ import annotations

import random

WORDS = {"food": ("soup", "bread"), "money": ("price", "coin"), "travel": ("train", "boat")}


def several(count: int, seed: int = 0) -> tuple[list[str], list[list[str]]]:
    """`count` texts and their labels; about an eighth has none."""
    draw = random.Random(seed)
    texts, labels = [], []
    for _ in range(count):
        names = [name for name in WORDS if draw.random() < 0.5]
        words = [draw.choice(WORDS[name]) for name in names for _ in range(3)] + ["day"] * 3
        draw.shuffle(words)
        texts.append(" ".join(words))
        labels.append(names)
    return texts, labels
