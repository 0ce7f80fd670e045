"""An explanation for people: words on a terminal or in HTML, coloured by what they speak for.

Blue speaks for the class, orange against it: two colours that the colour-blind tell apart. Their depth goes with the
share of the strongest word.
"""

from __future__ import annotations

import html
from collections.abc import Iterator

import numpy as np

from ulmfit_jax.inference.explain import Explanation

_BLUE, _ORANGE = (33, 102, 172), (217, 115, 4)
_RESET = "\x1b[0m"
FAINTEST = 0.15
"""Words below this share of the strongest one have no colour."""


def to_terminal(explanation: Explanation) -> str:
    """The words with 24-bit colours in the background."""
    shown = []
    for word, share in shares(explanation):
        if abs(share) < FAINTEST:
            shown.append(word)
            continue
        red, green, blue = (round(255 + (channel - 255) * abs(share)) for channel in _colour(share))
        ink = 30 if abs(share) < 0.6 else 97
        shown.append(f"\x1b[{ink};48;2;{red};{green};{blue}m{word}{_RESET}")
    return " ".join(shown)


def to_html(explanation: Explanation) -> str:
    """The words as `<span>` elements with their importance as a title; all text is escaped."""
    shown = []
    for (word, share), importance in zip(shares(explanation), explanation.importances, strict=True):
        style = ""
        if abs(share) >= FAINTEST:
            red, green, blue = _colour(share)
            style = f' style="background: rgba({red}, {green}, {blue}, {0.75 * abs(share):.2f})"'
        shown.append(f'<span title="{importance:+.3f}"{style}>{html.escape(word)}</span>')
    return " ".join(shown)


def strongest(explanation: Explanation, count: int = 5) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """The words that speak most for and most against the class, strongest first, at most `count` each."""
    order = np.argsort(-explanation.importances, kind="stable")
    listed = [(explanation.words[i], float(explanation.importances[i])) for i in order]
    pro = [entry for entry in listed if entry[1] > 0]
    con = [entry for entry in reversed(listed) if entry[1] < 0]
    return pro[:count], con[:count]


def shares(explanation: Explanation) -> Iterator[tuple[str, float]]:
    """The words, each with its importance as a share of the strongest one's, from -1 to 1."""
    largest = float(np.abs(explanation.importances).max(initial=np.finfo(np.float32).tiny))
    return ((w, float(i) / largest) for w, i in zip(explanation.words, explanation.importances, strict=True))


def _colour(share: float) -> tuple[int, int, int]:
    return _BLUE if share > 0 else _ORANGE
