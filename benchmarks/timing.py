"""Two sides of one piece of work, timed in turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

Work = Callable[[], float]
"""Does a fixed piece of work to its end and returns how much it was, in tokens or documents."""


@dataclass
class Timings:
    """What was measured of one stage.

    Attributes:
        name: of the stage.
        unit: what `Work` counts.
        ours: units a second of each repeat, and `theirs` in the same order.
    """

    name: str
    unit: str
    ours: list[float] = field(default_factory=list)
    theirs: list[float] = field(default_factory=list)

    def ratios(self) -> list[float]:
        """Ours over theirs, of each pair that ran one after the other."""
        return [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]

    def row(self) -> str:
        """A row of the table: medians, and the ratio with its range."""
        ours, theirs = (statistics.median(side) for side in (self.ours, self.theirs))
        ratios = self.ratios()
        return (
            f"| {self.name} | {ours:,.1f} {self.unit}/s | {theirs:,.1f} {self.unit}/s | "
            f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f} to {max(ratios):.2f}) |"
        )


def alternate(name: str, unit: str, ours: Work, theirs: Work, repeats: int) -> Timings:
    """Each side once to warm up (programs are compiled, memory is found), then in turn, `repeats` times."""
    timings = Timings(name, unit)
    ours()
    theirs()
    for _ in range(repeats):
        timings.ours.append(rate(ours))
        timings.theirs.append(rate(theirs))
    return timings


def rate(work: Work) -> float:
    """Units a second."""
    began = time.perf_counter()
    done = work()
    return done / (time.perf_counter() - began)
