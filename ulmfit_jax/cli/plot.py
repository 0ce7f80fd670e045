"""A curve drawn in characters."""

from __future__ import annotations

import math
from collections.abc import Sequence

_WIDTH, _HEIGHT = 64, 12


def rate_plot(rates: Sequence[float], losses: Sequence[float], marks: dict[str, float]) -> str:
    """Losses over the logarithm of the rates, with the marks' names below the axis.

    Args:
        rates: rising, above 0.
        losses: one for each; what is not finite is left out.
        marks: rates by name.
    """
    good = [(math.log10(rate), loss) for rate, loss in zip(rates, losses, strict=True) if math.isfinite(loss)]
    left, right = math.log10(rates[0]), math.log10(rates[-1])
    # A loss that explodes at the end would press the rest of the curve flat.
    top = min(max(loss for _, loss in good), 2 * good[0][1] - min(loss for _, loss in good) + 1e-9)
    bottom = min(loss for _, loss in good)
    rows = [[" "] * _WIDTH for _ in range(_HEIGHT)]
    for place, loss in good:
        height = round((min(loss, top) - bottom) / ((top - bottom) or 1) * (_HEIGHT - 1))
        rows[_HEIGHT - 1 - height][_column(place, left, right)] = "*"
    titles = [f"{top:8.3f} ", *[" " * 9] * (_HEIGHT - 2), f"{bottom:8.3f} "]
    lines = [f"{title}|{''.join(row)}".rstrip() for title, row in zip(titles, rows, strict=True)]
    lines.append(" " * 9 + "+" + "-" * _WIDTH)
    lines.append(" " * 10 + f"{rates[0]:<.1e}" + f"{rates[-1]:.1e}".rjust(_WIDTH - len(f"{rates[0]:.1e}")))
    for name, rate in sorted(marks.items(), key=lambda mark: mark[1]):
        lines.append(" " * (10 + _column(math.log10(rate), left, right)) + f"^ {name}")
    return "\n".join(lines)


def _column(place: float, left: float, right: float) -> int:
    share = (place - left) / ((right - left) or 1)
    return min(max(round(share * (_WIDTH - 1)), 0), _WIDTH - 1)
