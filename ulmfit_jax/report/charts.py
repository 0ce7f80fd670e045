"""Charts as inline SVG: lines, bars side by side in one column, and the calibration curve.

Series differ in colour, in dashes and in the shape of their markers. Colours come from the page's style (classes `a`
and `b`), so that a chart follows the light or dark scheme.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np

from ulmfit_jax.counted import counted
from ulmfit_jax.report.axes import BOTTOM, HEIGHT, RIGHT, TOP, WIDTH, Axis, frame, horizontal, vertical
from ulmfit_jax.report.elements import element
from ulmfit_jax.report.measures import Calibration, share_interval


@dataclass(frozen=True)
class Series:
    """Points that a line joins.

    Attributes:
        name: as the key shows it.
        lines: each a list of (x, y) that are joined; nothing joins one list with the next.
        kind: `a` (solid, round markers) or `b` (dashed, square markers).
        markers: whether each point is marked.
    """

    name: str
    lines: Sequence[Sequence[tuple[float, float]]]
    kind: str = "a"
    markers: bool = True


def line_chart(
    title: str,
    series: Sequence[Series],
    across: str,
    up: str,
    borders: Sequence[tuple[float, float]] = (),
    from_zero: bool = False,
) -> Element:
    """Lines over a common horizontal axis.

    Args:
        title: of the figure.
        series: the lines, with at least one point in all; one without a point is left out.
        across: title of the horizontal axis, with its unit.
        up: title of the vertical axis, with its unit.
        borders: first and last x of each stage; stages are marked with their numbers, from 1.
        from_zero: whether the vertical axis begins at 0.
    """
    series = [one for one in series if any(one.lines)]
    points = np.array([point for one in series for line in one.lines for point in line]).reshape(-1, 2)
    xs = [*points[:, 0], *(x for border in borders for x in border)]
    x_axis = horizontal(min(xs), max(xs), across)
    y_axis = vertical(0.0 if from_zero else points[:, 1].min(), points[:, 1].max(), up)
    drawn = [part for one in series for part in _drawn(one, x_axis, y_axis)]
    summary = "; ".join(f"{one.name} from {_first(one):.4g} to {_last(one):.4g}" for one in series)
    key = [_key(one.kind, one.name, one.markers) for one in series]
    return figure(title, summary, [*_stages(borders, x_axis), *frame(x_axis, y_axis), *drawn], key)


def histogram(
    title: str,
    edges: Sequence[float],
    counts: Sequence[tuple[str, Sequence[int]]],
    across: str,
    up: str,
    percent: bool = False,
) -> Element:
    """Bars between `edges`; several rows of counts, each with a name, stand on one another."""
    x_axis = horizontal(edges[0], edges[-1], across, percent)
    y_axis = vertical(0.0, max(float(np.sum([row for _, row in counts], axis=0).max()), 1.0), up)
    below, bars = np.zeros(len(edges) - 1), []
    for kind, (_, row) in zip("ab", counts, strict=False):
        for left, right, low, count in zip(edges[:-1], edges[1:], below, row, strict=True):
            if count:
                top, width = y_axis(low + count), x_axis(right) - x_axis(left) - 1
                bars.append(
                    element(
                        "rect",
                        x=x_axis(left) + 0.5,
                        y=top,
                        width=width,
                        height=y_axis(low) - top,
                        class_=f"fill {kind}",
                    )
                )
        below += np.array(row)
    key = [_key(kind, name, False, bars=True) for kind, (name, _) in zip("ab", counts, strict=False)]
    summary = "; ".join(f"{name}: {sum(row):,}" for name, row in counts)
    return figure(title, summary, [*frame(x_axis, y_axis), *bars], key if len(counts) > 1 else [])


def calibration_chart(curve: Calibration) -> Element:
    """Accuracy over confidence, with the 95 % interval of each bin and the line of perfect calibration."""
    filled = np.flatnonzero(curve.counts)
    low = 0.0 if len(filled) == 0 else float(curve.edges[filled[0]])
    x_axis, y_axis = (
        horizontal(low, 1.0, "confidence of the answer", True),
        vertical(0, 1, "share of right answers", True),
    )
    whiskers = []
    for number in filled:
        x, count = x_axis(curve.confidence[number]), int(curve.counts[number])
        bottom, top = map(y_axis, share_interval(int(curve.right[number]), count))
        hint = element(
            "title",
            f"{counted(count, 'text')}: {curve.confidence[number]:.1%} sure, {curve.accuracy[number]:.1%} right",
        )
        whiskers.append(element("line", hint, x1=x, x2=x, y1=bottom, y2=top, class_="whisker a"))
    points = [(float(curve.confidence[number]), float(curve.accuracy[number])) for number in filled]
    model = Series("this model, with the range that chance allows (95 %)", [points], "a")
    ideal = Series("as sure as it is right", [[(low, low), (1.0, 1.0)]], "b", markers=False)
    drawn = [*_drawn(ideal, x_axis, y_axis), *whiskers, *_drawn(model, x_axis, y_axis)]
    summary = f"expected calibration error {curve.error:.1%}"
    key = [_key("a", model.name, True), _key("b", ideal.name, False)]
    return figure("Is it as sure as it is right?", summary, [*frame(x_axis, y_axis), *drawn], key)


def figure(title: str, summary: str, parts: Sequence[Element], key: Sequence[Element]) -> Element:
    """A drawing with its title, which no other one of the page has, its key, and what a screen reader says."""
    name = re.sub(r"\W+", "-", title.lower()).strip("-")
    drawing = element(
        "svg",
        element("title", title, id=f"title-{name}"),
        element("desc", summary, id=f"summary-{name}"),
        parts,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_labelledby=f"title-{name} summary-{name}",
    )
    keys = element("ul", key, class_="key") if key else None
    return element("figure", element("figcaption", title), drawing, keys)


def _drawn(series: Series, across: Axis, up: Axis) -> list[Element]:
    parts = []
    for line in series.lines:
        places = [(across(x), up(y)) for x, y in line if math.isfinite(y)]
        if len(places) > 1:
            points = " ".join(f"{x:.2f},{y:.2f}" for x, y in places)
            parts.append(element("polyline", points=points, class_=f"line {series.kind}"))
        if series.markers or len(places) == 1:
            parts += [_marker(x, y, series.kind) for x, y in places]
    return parts


def _marker(x: float, y: float, kind: str) -> Element:
    if kind == "b":
        return element("rect", x=x - 3, y=y - 3, width=6, height=6, class_="fill b")
    return element("circle", cx=x, cy=y, r=3, class_="fill a")


def _stages(borders: Sequence[tuple[float, float]], across: Axis) -> list[Element]:
    parts = []
    for number, (first, last) in enumerate(borders, 1):
        left, right = across(first), across(last)
        kind = "stage odd" if number % 2 else "stage"
        parts.append(element("rect", x=left, y=TOP, width=right - left, height=BOTTOM - TOP, class_=kind))
        if right - left > 9 or number == len(borders):
            place = min((left + right) / 2, RIGHT - 4)
            parts.append(element("text", str(number), x=place, y=TOP - 6, text_anchor="middle", class_="title"))
    return parts


def _key(kind: str, name: str, markers: bool, bars: bool = False) -> Element:
    if bars:
        shown = [element("rect", x=6, y=1, width=12, height=10, class_=f"fill {kind}")]
    else:
        shown = [element("line", x1=0, x2=24, y1=6, y2=6, class_=f"line {kind}")]
        shown += [_marker(12.0, 6.0, kind)] if markers else []
    return element("li", element("svg", shown, viewBox="0 0 24 12", aria_hidden="true"), " ", name)


def _first(series: Series) -> float:
    return next(line[0][1] for line in series.lines if line)


def _last(series: Series) -> float:
    return next(line[-1][1] for line in reversed(series.lines) if line)
