"""Small data, and `ulmfit` as a process of its own."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SMALL = ["--pretrained", "none", "--preset", "tiny", "--lm-epochs", "1", "--epochs", "1,0,0,0", "--devices", "1"]
THINGS = ("film", "book", "meal", "hotel", "song")
WORDS = {"good": ("lovely", "wonderful", "great", "charming"), "bad": ("horrible", "awful", "terrible", "boring")}


def reviews(count: int, seed: int) -> list[tuple[str, str]]:
    """Texts with their labels, as many good as bad ones."""
    draw = random.Random(seed)
    labels = ["good", "bad"] * (count // 2)
    sentence = "The {} was {} and the {} was {}, I bought {}."
    return [
        (
            sentence.format(*(draw.choice(words) for words in (THINGS, WORDS[label]) * 2), draw.randint(1, 10_000)),
            label,
        )
        for label in labels
    ]


def write_csv(path: Path, rows: Iterable[tuple[str, ...]], header: tuple[str, ...] = ("text", "label")) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def on_one_device() -> dict[str, str]:
    """The environment of a process with one device, which finds the suite's programs compiled."""
    flags = re.sub(r"--xla_force_host_platform_device_count=\d+", "", os.environ["XLA_FLAGS"])
    return {**os.environ, "XLA_FLAGS": flags}


def script(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """The real console script, as a person would start it."""
    command = [str(Path(sys.executable).with_name("ulmfit")), *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, env=on_one_device(), timeout=300, check=False)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def finished(folder: Path) -> str:
    """What a training command says of a run that is finished."""
    return f"{folder} holds the finished run of this command: nothing is trained again\n"


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.out.splitlines()[-1])


@dataclass(frozen=True)
class Trained:
    """A finished run of `ulmfit train` and what it was started with."""

    train: Path
    test: Path
    out: Path
    arguments: list[str]
    output: subprocess.CompletedProcess[bytes]

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.output.stdout.splitlines()[-1])


@dataclass(frozen=True)
class Pretrained:
    """The run folder of a language model, and what its command said when it was started three times."""

    out: Path
    interrupted: Outcome
    resumed: Outcome
    again: Outcome
