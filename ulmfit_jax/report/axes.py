"""Axes of charts: round ticks, and where a value lies on the drawing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from ulmfit_jax.report.elements import element

WIDTH, HEIGHT = 360, 230
"""Of a chart's drawing; one unit is one pixel on a telephone, and at most 1.5 elsewhere."""

LEFT, RIGHT, TOP, BOTTOM = 58.0, WIDTH - 10.0, 20.0, HEIGHT - 42.0
"""The rectangle that data is drawn in."""


@dataclass(frozen=True)
class Axis:
    """A linear map from values to places on the drawing.

    Attributes:
        low, high: the smallest and the largest value.
        start, end: their places.
        ticks: values that are marked.
        title: what is shown, with its unit.
        percent: whether ticks are written as percentages.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    title: str
    percent: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value; those outside get the nearest end."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def written(self, tick: float) -> str:
        """A tick as text, with as many decimals as tell it from the next one."""
        if self.percent:
            return f"{tick:.0%}"
        if tick and abs(tick) < 1e-3:
            return f"{tick:.0e}".replace("e-0", "e-")
        return f"{tick:,.6f}".rstrip("0").rstrip(".")


def horizontal(low: float, high: float, title: str, percent: bool = False) -> Axis:
    """The axis at the bottom, from exactly `low` to `high`."""
    low, high = _apart(low, high)
    return Axis(low, high, LEFT, RIGHT, round_ticks(low, high), title, percent)


def vertical(low: float, high: float, title: str, percent: bool = False) -> Axis:
    """The axis at the left, from the tick below `low` to the one above `high`."""
    low, high = _apart(low, high)
    step = _step(low, high)
    low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return Axis(low, high, BOTTOM, TOP, round_ticks(low, high), title, percent)


def round_ticks(low: float, high: float, wanted: int = 5) -> tuple[float, ...]:
    """About `wanted` multiples of 1, 2 or 5 times a power of ten between `low` and `high`, both counted."""
    step = _step(low, high, wanted)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(round(number * step, 12) for number in range(first, last + 1))


def frame(across: Axis, up: Axis) -> list[Element]:
    """Grid lines, ticks and titles of both axes."""
    parts = []
    for tick in up.ticks:
        y = up(tick)
        parts.append(element("line", x1=LEFT, x2=RIGHT, y1=y, y2=y, class_="grid"))
        parts.append(element("text", up.written(tick), x=LEFT - 6, y=y + 4, text_anchor="end"))
    for tick in across.ticks:
        x = across(tick)
        parts.append(element("line", x1=x, x2=x, y1=BOTTOM, y2=BOTTOM + 4, class_="axis"))
        parts.append(element("text", across.written(tick), x=x, y=BOTTOM + 16, text_anchor="middle"))
    middle = (TOP + BOTTOM) / 2
    return [
        *parts,
        element("line", x1=LEFT, x2=RIGHT, y1=BOTTOM, y2=BOTTOM, class_="axis"),
        element("text", across.title, x=(LEFT + RIGHT) / 2, y=HEIGHT - 8.0, text_anchor="middle", class_="title"),
        element(
            "text",
            up.title,
            x=9.0,
            y=middle,
            text_anchor="middle",
            class_="title",
            transform=f"rotate(-90 9 {middle:g})",
        ),
    ]


def _step(low: float, high: float, wanted: int = 5) -> float:
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * (1 - 1e-9))


def _apart(low: float, high: float) -> tuple[float, float]:
    """Two values that differ, so that there is an axis between them."""
    return (low, high) if high > low else (low - abs(low) / 2 - 0.5 * (low == 0), low + abs(low) / 2 + 0.5 * (low == 0))
