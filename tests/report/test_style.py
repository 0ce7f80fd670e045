"""Colours that can be read and told apart, in the light and in the dark."""

from __future__ import annotations

import re

import pytest

from ulmfit_jax.report.style import STYLE

SCHEMES = dict(zip(("light", "dark"), re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL), strict=True))


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb` (WCAG 2)."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def mixed(colour: str, paper: str, share: float) -> str:
    """A share of a colour on paper, as `color-mix` makes it."""
    pairs = [(int(colour[place : place + 2], 16), int(paper[place : place + 2], 16)) for place in (1, 3, 5)]
    return "#" + "".join(f"{round(share * top + (1 - share) * below):02x}" for top, below in pairs)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrasts_are_those_that_accessibility_asks_for(scheme: str) -> None:
    colours = dict(re.findall(r"--(\w+): (#\w{6});", SCHEMES[scheme]))
    assert colours.keys() == {"paper", "card", "ink", "faint", "rule", "a", "b", "band"}
    for ground in ("paper", "card", "band"):
        assert contrast(colours["ink"], colours[ground]) >= 7
        assert contrast(colours["faint"], colours[ground]) >= 4.5
        for series in "ab":
            assert contrast(colours[series], colours[ground]) >= 3
    for series in "ab":
        assert contrast(colours["ink"], mixed(colours[series], colours["card"], 0.5)) >= 4.5
