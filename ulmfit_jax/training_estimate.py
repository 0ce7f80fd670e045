"""What a training will compute, and how long that takes here: how often which program runs, what some of them take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.optim.groups import LayerGroup, freeze_to
from ulmfit_jax.training.measurement import Program, timings_within
from ulmfit_jax.training.stages import Stage


@dataclass(frozen=True)
class PlannedStage:
    """A stage of a plan, and what it will compute.

    Attributes:
        row: `part`, `name`, `epochs`, `steps`, `learning_rate`, as plain values; None where there is no such thing.
        runs: how often it runs which program.
    """

    row: dict[str, Any]
    runs: Mapping[Hashable, float]


@dataclass
class Planned:
    """The stages of a training in their order, and the programs that they run, by keys of their own."""

    stages: list[PlannedStage] = field(default_factory=list)
    programs: dict[Hashable, Program] = field(default_factory=dict)

    def leave_out(self, finished: Mapping[tuple[str, str], int]) -> None:
        """Take epochs that a run has finished out of the work; rows with some get `done`.

        Args:
            finished: epochs by part and name of a stage.
        """
        for number, stage in enumerate(self.stages):
            if done := finished.get((stage.row["part"], stage.row["name"]), 0):
                left = 1 - done / stage.row["epochs"]
                runs = {key: count * left for key, count in stage.runs.items()} if left else {}
                self.stages[number] = PlannedStage({**stage.row, "done": done}, runs)

    def timed_rows(self, seconds: float) -> tuple[list[dict[str, Any]], int]:
        """Rows of the stages with `seconds`, of which `compiling`, and how many programs there are that were measured.

        A program is compiled where it runs first; one that no stage runs is none.

        Args:
            seconds: of measuring; see `timings_within`.
        """
        runs: Counter[Hashable] = Counter()
        for stage in self.stages:
            runs.update(stage.runs)
        self.programs = {key: program for key, program in self.programs.items() if key in runs}
        timings, measured = timings_within(self.programs, runs, seconds) if runs else ({}, 0)
        compiled: set[Hashable] = set()
        rows = []
        for stage in self.stages:
            compiling = sum(timings[key].compiling for key in stage.runs.keys() - compiled)
            compiled |= stage.runs.keys()
            running = sum(timings[key].each * count for key, count in stage.runs.items())
            rows.append({**stage.row, "seconds": round(running + compiling, 3), "compiling": round(compiling, 3)})
        return rows, measured


def forward_products(sizes: Architecture) -> list[int]:
    """Multiplications of each LSTM layer for a token, forwards."""
    return [4 * out * (inp + out) for inp, out in sizes.layer_sizes()]


def layer_products(sizes: Architecture, groups: Sequence[LayerGroup], stage: Stage) -> tuple[int, int]:
    """Multiplications of the LSTM layers for a token of a training step, forwards and backwards: twice as many for the
    layers from the lowest trained one on."""
    products, trained = forward_products(sizes), freeze_to(groups, stage.freeze_to)
    layers = [number for number in range(sizes.n_layers) if f"lstm_{number}" in trained]
    lowest = 0 if trained & {"embedding", "embedding_decoder"} else min(layers, default=sizes.n_layers)
    return sum(products), 2 * sum(products[lowest:])


def repeated(runs: Mapping[Hashable, int], factor: float) -> dict[Hashable, float]:
    """So many times as many runs of each program, of an epoch or of a pass; the factor may be a fraction."""
    return {key: count * factor for key, count in runs.items()}


def stage_row(part: str, stage: Stage, steps_of_epoch: int) -> dict[str, Any]:
    """The `row` of a `PlannedStage`."""
    steps = stage.epochs * steps_of_epoch
    named = {"part": part, "name": stage.name, "epochs": stage.epochs}
    return {**named, "steps": steps, "learning_rate": None if stage.is_fitted else stage.learning_rate}
