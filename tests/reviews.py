"""A tiny made-up language of reviews that can be learnt in seconds: the adjective decides the label."""

from __future__ import annotations

import random
from pathlib import Path

GOOD = ("lovely", "splendid", "cheerful", "tasty", "reliable")
BAD = ("dreadful", "broken", "gloomy", "bland", "useless")
THINGS = ("kettle", "café", "umbrella", "novel", "bus", "printer")


def reviews(count: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """`count` texts of two to four sentences and their labels, `good` and `bad` in turn."""
    draw = random.Random(seed)
    texts, labels = [], []
    for number in range(count):
        words, label = ((GOOD, "good"), (BAD, "bad"))[number % 2]
        sentences = [f"The {draw.choice(THINGS)} was {draw.choice(words)}." for _ in range(draw.randint(2, 4))]
        texts.append(f"{number} days with it. " + " ".join(sentences))
        labels.append(label)
    return texts, labels


def write_reviews(place: Path, count: int, seed: int = 0) -> Path:
    """The same as a CSV file with the columns `text` and `label`; returns its place."""
    rows = [f'"{text}",{label}' for text, label in zip(*reviews(count, seed), strict=True)]
    place.write_text("\n".join(["text,label", *rows, ""]), "utf-8")
    return place
