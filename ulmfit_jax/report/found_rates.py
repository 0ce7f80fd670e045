"""The curve of the learning-rate finder, where a run has looked for rates."""

from __future__ import annotations

import math
from typing import Any
from xml.etree.ElementTree import Element

from ulmfit_jax.report.charts import Series, line_chart
from ulmfit_jax.report.elements import Content, element


def found_rates(found: dict[str, Any], used: float | None) -> list[Content]:
    """Chart and words of `learning_rates` in a report.

    Args:
        found: `rates`, `losses`, and `readings`, the suggestions by name.
        used: the peak rate of the classifier's first stage.
    """
    points = [(math.log10(rate), loss) for rate, loss in zip(found["rates"], found["losses"], strict=True)
              if loss is not None and math.isfinite(loss)]  # fmt: skip
    if len(points) < 2:
        return []
    low, high = min(loss for _, loss in points), max(loss for _, loss in points)
    series = [Series("training loss", [points], "a", False)]
    if used:
        series.append(
            Series("the rate of the first stage", [[(math.log10(used), low), (math.log10(used), high)]], "b", False)
        )
    chart: Element = line_chart(
        "Learning-rate finder: the head at rising rates", series, "learning rate, as a power of ten", "loss, smoothed"
    )
    said = ", ".join(f"{name} {rate:.1e}" for name, rate in found["readings"].items())
    note = (
        f"Readings of the curve, as fastai makes them: {said}. They are for the reader; the run keeps to its own rates."
    )
    return [element("h3", "Learning rates"), element("div", chart, class_="charts"), element("p", note, class_="note")]
