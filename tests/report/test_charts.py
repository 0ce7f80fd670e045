"""Where known values lie on a chart, what ticks are round, and charts of hardly any data."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import numpy as np
import pytest

from ulmfit_jax.report.axes import BOTTOM, LEFT, RIGHT, TOP, horizontal, round_ticks, vertical
from ulmfit_jax.report.charts import Series, calibration_chart, histogram, line_chart
from ulmfit_jax.report.course import length_bins
from ulmfit_jax.report.measures import calibration


def of_class(root: Element, tag: str, name: str) -> list[Element]:
    """The elements of a chart's drawing with a tag and a class; the key is no part of it."""
    drawing = root.find("svg")
    assert drawing is not None
    return [part for part in drawing.iter(tag) if part.get("class") == name]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 10, (0, 2, 4, 6, 8, 10)),
        (0, 1, (0, 0.2, 0.4, 0.6, 0.8, 1)),
        (0, 0.02, (0, 0.005, 0.01, 0.015, 0.02)),
        (37, 143, (50, 100)),
        (-1e-5, 1e-5, (-1e-5, -5e-6, 0, 5e-6, 1e-5)),
    ],
)
def test_ticks_are_round(low: float, high: float, ticks: tuple[float, ...]) -> None:
    assert round_ticks(low, high) == pytest.approx(ticks)


def test_axes_put_their_ends_at_the_ends() -> None:
    across, up = horizontal(0, 40, "steps"), vertical(0.13, 0.87, "loss")
    assert (across(0), across(40), across(10)) == (LEFT, RIGHT, LEFT + (RIGHT - LEFT) / 4)
    assert (up.low, up.high) == (0, 1)
    assert (up(0), up(1), up(0.5)) == (BOTTOM, TOP, (BOTTOM + TOP) / 2)
    assert up(7) == TOP
    assert [up.written(tick) for tick in up.ticks] == ["0", "0.2", "0.4", "0.6", "0.8", "1"]
    assert [vertical(0, 4e-4, "rate").written(value) for value in (0, 1e-4, 4e-4)] == ["0", "1e-4", "4e-4"]
    assert horizontal(0, 1, "share", percent=True).written(0.2) == "20%"


def test_lines_go_through_their_points_and_stages_lie_side_by_side() -> None:
    series = [Series("training", [[(0, 1.0), (10, 0.5)], [(40, 0.0)]]), Series("held out", [[]], "b")]
    chart = line_chart("A loss", series, "step", "nats", [(0, 10), (10, 40)])
    lines = of_class(chart, "polyline", "line a")
    middle = LEFT + (RIGHT - LEFT) / 4
    assert [line.get("points") for line in lines] == [f"{LEFT:.2f},{TOP:.2f} {middle:.2f},{(TOP + BOTTOM) / 2:.2f}"]
    circles = of_class(chart, "circle", "fill a")
    assert [float(circle.get("cy", "")) for circle in circles] == [TOP, (TOP + BOTTOM) / 2, BOTTOM]
    assert not of_class(chart, "polyline", "line b")
    first, second = of_class(chart, "rect", "stage odd"), of_class(chart, "rect", "stage")
    assert float(first[0].get("x", "")) + float(first[0].get("width", "")) == float(second[0].get("x", ""))
    texts = ["".join(text.itertext()) for text in chart.iter("text")]
    assert {"step", "nats", "1", "2"} <= set(texts)


def test_bars_stand_on_one_another() -> None:
    chart = histogram("Bars", [0, 1, 2], [("right", [3, 0]), ("wrong", [1, 2])], "x", "y")
    right, wrong = of_class(chart, "rect", "fill a"), of_class(chart, "rect", "fill b")
    heights = [float(bar.get("height", "")) for bar in (*right, *wrong)]
    assert heights == pytest.approx([(BOTTOM - TOP) * count / 4 for count in (3, 1, 2)])
    assert float(wrong[0].get("y", "")) + heights[1] == pytest.approx(float(right[0].get("y", "")))
    assert len(chart.findall("ul/li")) == 2


def test_calibration_points_lie_at_confidence_and_accuracy() -> None:
    curve = calibration(np.array([0.75, 0.75, 0.95, 0.95]), np.array([True, False, True, True]))
    chart = calibration_chart(curve)
    across = horizontal(11 / 15, 1, "confidence")  # the lower edge of the first bin that is not empty
    points = [(float(c.get("cx", "")), float(c.get("cy", ""))) for c in of_class(chart, "circle", "fill a")]
    assert points == [
        (pytest.approx(across(0.75), abs=0.01), (TOP + BOTTOM) / 2),
        (pytest.approx(across(0.95), abs=0.01), TOP),
    ]
    assert len(of_class(chart, "line", "whisker a")) == 2


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_a_single_point_is_a_chart(value: float) -> None:
    chart = line_chart("One", [Series("loss", [[(5, value)]])], "step", "nats")
    (circle,) = of_class(chart, "circle", "fill a")
    assert TOP <= float(circle.get("cy", "")) <= BOTTOM


@pytest.mark.parametrize("lengths", [[1], [7] * 5, list(range(1, 400)), [3] * 99 + [90_000]])
def test_bins_of_lengths_are_round_and_hold_nearly_all(lengths: list[int]) -> None:
    edges, counts = length_bins(np.array(lengths))
    assert len(edges) == len(counts) + 1 <= 25
    widths = np.diff(edges)
    assert widths.min() == widths.max() >= 1
    assert sum(counts) >= 0.97 * len(lengths)
