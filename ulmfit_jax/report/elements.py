"""HTML and SVG as trees: what is written is escaped by construction, and tags close."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any
from xml.etree.ElementTree import Element, tostring

Content = Element | str | None

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
"""What no page may hold: control characters, halves of surrogate pairs, codes that are no characters."""


def element(tag: str, *children: Content | Iterable[Content], **attributes: Any) -> Element:
    """An element with its children: elements, texts, lists of both; None is left out.

    Attributes are named as in HTML but for `_` in place of `-`, and one at the end of Python's own words: `class_`,
    `aria_label`. Those that are None are left out; numbers are written with at most two decimals.
    """
    made = Element(tag)
    for name, value in attributes.items():
        if value is not None:
            made.set(name.rstrip("_").replace("_", "-"), clean(_written(value)))
    for child in children:
        for part in [child] if isinstance(child, str | Element) or child is None else child:
            _append(made, part)
    return made


def clean(text: str) -> str:
    """The text with U+FFFD for what no page may hold."""
    return _UNPRINTABLE.sub("\ufffd", text)


def as_html(root: Element) -> str:
    """The tree as HTML text."""
    return tostring(root, encoding="unicode", method="html")


def label(name: str) -> Element:
    """A class's name, whose writing direction and control characters touch nothing around it."""
    return element("bdi", name)


def table(
    caption: str, head: Sequence[Content], rows: Iterable[Sequence[Content | Element]], **attributes: Any
) -> Element:
    """A table with a caption and header cells, in a box that scrolls where the table is wider than the screen.

    Args:
        caption: what it shows.
        head: titles of the columns.
        rows: their cells; the first cell is the row's header. Finished `td` elements are taken as they are.
        attributes: of the table.
    """
    body = [
        element("tr", element("th", first, scope="row"), [_cell(cell) for cell in others]) for first, *others in rows
    ]
    made = element(
        "table",
        element("caption", element("span", caption)),
        element("thead", element("tr", [element("th", title, scope="col") for title in head])),
        element("tbody", body),
        **attributes,
    )
    return element("div", made, class_="scroll", role="region", aria_label=caption, tabindex="0")


def bar(share: float, text: str, kind: str = "a") -> Element:
    """A table cell with a number and a bar of `share` (0 to 1) of the cell's width."""
    filled = element("span", class_=f"bar {kind}", style=f"width:{100 * min(max(share, 0.0), 1.0):.1f}%")
    return element("td", element("span", text, class_="number"), filled, class_="barred")


def _cell(cell: Content | Element) -> Element:
    return cell if isinstance(cell, Element) and cell.tag == "td" else element("td", cell)


def _append(parent: Element, child: Content) -> None:
    if isinstance(child, Element):
        parent.append(child)
    elif child is not None:
        if len(parent):
            parent[-1].tail = (parent[-1].tail or "") + clean(child)
        else:
            parent.text = (parent.text or "") + clean(child)


def _written(value: Any) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
