"""What a step of language-model training costs, against batch, length and vocabulary: linear in each, or not.

    python benchmarks/cost.py --out benchmarks/cost.png

The full-size network (400/1152/1152/400, float32, all dropouts, AR, TAR, Adam). Around a middle point one of the three
is changed at a time; each point is the median of `--repeats` steps. The fit beside the points is a straight line, with
the share of the variance that it explains. Needs `pip install '.[plots]'`.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ours import language_model
from timing import rate


@dataclass(frozen=True)
class Size:
    """A step's batch rows, tokens of each row, and words of the vocabulary."""

    batch: int = 32
    length: int = 36
    vocabulary: int = 16_384


CHANGES = {
    "batch": (8, 16, 32, 48, 64),
    "length": (18, 36, 72, 108, 144),
    "vocabulary": (4_096, 8_192, 16_384, 32_768, 60_032),
}


def seconds(size: Size, repeats: int) -> float:
    """The median time of a step of this size, once its program is compiled."""
    work = language_model(size.vocabulary, 1, size.batch, size.length)
    work()
    return statistics.median(size.batch * size.length / rate(work) for _ in range(repeats))


def line(sizes: np.ndarray, times: np.ndarray) -> tuple[float, float, float]:
    """Slope, intercept, and explained share of the variance of the straight line through the points."""
    slope, intercept = np.polyfit(sizes, times, 1)
    left = times - (slope * sizes + intercept)
    return float(slope), float(intercept), 1 - float(left.var() / times.var())


def plot(points: dict[str, tuple[np.ndarray, np.ndarray]], place: Path) -> None:
    """A panel for each of the three, with its line."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    units = {"batch": "rows of the batch", "length": "tokens of a row", "vocabulary": "words of the vocabulary"}
    for axis, (name, (sizes, times)) in zip(axes, points.items(), strict=True):
        slope, intercept, explained = line(sizes, times)
        ends = np.array([0, sizes.max()])
        axis.plot(sizes, times, "o", color="#0072B2", label="measured")
        axis.plot(ends, slope * ends + intercept, "--", color="#D55E00", label=f"line, R² = {explained:.4f}")
        axis.set(xlabel=units[name], ylabel="seconds a step", xlim=(0, None), ylim=(0, None))
        axis.legend()
    figure.savefig(place, dpi=150)


def main() -> None:
    """Time all points, print them, draw them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the picture")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    points = {}
    print("| changed | five sizes, and the time of a step | | | | | R² |\n" + "|---" * 7 + "|")
    for name, values in CHANGES.items():
        times = [seconds(replace(Size(), **{name: value}), options.repeats) for value in values]
        points[name] = np.array(values, float), np.array(times)
        cells = [f"{value:,}: {time:.3f} s" for value, time in zip(values, times, strict=True)]
        print(f"| {name} | {' | '.join(cells)} | {line(*points[name])[2]:.4f} |", flush=True)
    plot(points, options.out)


if __name__ == "__main__":
    main()
