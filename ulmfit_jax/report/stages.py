"""What the stages of a run did: read from the configurations and tables of epochs that they have left in its folder."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path
from typing import Any

from ulmfit_jax.optim.groups import layer_groups
from ulmfit_jax.self_training import round_name
from ulmfit_jax.training.stages import Stage

PARTS = {
    "language_model": "Language model",
    "classifier": "Classifier",
    "self_training": "Self-training",
    "further_training": "Further training",
}
"""The folders of a run's trainings, in order, and what a person calls them; later rounds of self-training have a number
(`self_training.round_name`)."""

_SAMPLES = 60
"""Points of a stage's learning-rate curve."""


@dataclass(frozen=True)
class StageRecord:
    """One stage of a training.

    Attributes:
        stage: what it was asked to do.
        rows: its finished epochs, rows of the table of epochs.
        first_step: steps of the training before it.
        epoch_steps: steps of an epoch.
        groups: names of the layer groups that it trained, the first layers first.
        peaks: highest learning rate of each of them.
    """

    stage: Stage
    rows: tuple[dict[str, Any], ...]
    first_step: int
    epoch_steps: int
    groups: tuple[str, ...]
    peaks: tuple[float, ...]

    @property
    def last_step(self) -> int:
        """Steps of the training at its end."""
        return self.first_step + len(self.rows) * self.epoch_steps

    @property
    def seconds(self) -> float:
        """Time of its epochs."""
        return float(sum(row["seconds"] for row in self.rows))

    def rates(self, peak: float) -> list[tuple[float, float]]:
        """The schedule of a layer group with this peak, as points (step of the training, learning rate)."""
        shape = self.stage.shape(self.stage.epochs * self.epoch_steps)
        done = self.last_step - self.first_step
        steps = sorted({round(done * number / _SAMPLES) for number in range(_SAMPLES + 1)})
        return [(float(self.first_step + step), peak * shape(step)) for step in steps]

    def points(self, column: str) -> list[tuple[float, float]]:
        """A column of the table of epochs as points (step of the training, value); without what is not finite."""
        return [
            (float(row["step"]), float(row[column]))
            for row in self.rows
            if isinstance(row.get(column), int | float) and math.isfinite(row[column])
        ]


@dataclass(frozen=True)
class TrainingRecord:
    """One training of a run: the language model's, the classifier's, or self-training.

    Attributes:
        part: its folder, one of `PARTS` or a later round of self-training.
        stages: in their order.
        settings: batch size, dropout and so on.
    """

    part: str
    stages: tuple[StageRecord, ...]
    settings: dict[str, Any]

    @property
    def name(self) -> str:
        """What a person calls it."""
        if self.part in PARTS:
            return PARTS[self.part]
        name, _, number = self.part.rpartition("_")
        return f"{PARTS[name]}, round {number}"


def read_trainings(folder: Path) -> list[TrainingRecord]:
    """The trainings of a run folder that have finished at least an epoch."""
    return [record for part in _parts(folder) if (record := _read(folder / part, part)) is not None]


def finished_epochs(folder: Path) -> dict[tuple[str, str], int]:
    """How many epochs of each stage a run has finished, by part and name of the stage."""
    return {
        (record.part, stage.stage.name): len(stage.rows) for record in read_trainings(folder) for stage in record.stages
    }


def _parts(folder: Path) -> Iterator[str]:
    """`PARTS`, and after the first round of self-training the later ones that are there."""
    for part in PARTS:
        yield part
        if part == round_name(1):
            yield from takewhile(lambda later: (folder / later).is_dir(), map(round_name, count(2)))


def _read(folder: Path, part: str) -> TrainingRecord | None:
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    except FileNotFoundError:
        return None
    stages = tuple(_stages(config, rows)) if rows else ()
    return TrainingRecord(part, stages, config["settings"]) if stages else None


def _stages(config: dict[str, Any], rows: list[dict[str, Any]]) -> Iterator[StageRecord]:
    groups = layer_groups(config["architecture"]["n_layers"], config["task"])
    epoch_steps, begin = rows[0]["step"], 0
    for values in config["stages"]:
        plain: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        stage = Stage(**plain)
        end = begin
        while end < len(rows) and rows[end]["stage"] == stage.name and rows[end]["epoch"] == end - begin:
            end += 1
        if end == begin:
            return
        names = tuple(group.name for group in groups[stage.freeze_to :])
        yield StageRecord(
            stage, tuple(rows[begin:end]), begin * epoch_steps, epoch_steps, names, stage.peaks(len(groups))
        )
        begin = end
