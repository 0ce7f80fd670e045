"""The page of `--both-directions`: forward, backward and both together, with links to the pages of the two."""

from __future__ import annotations

from typing import Any

from ulmfit_jax.report.elements import Content, bar, element, table
from ulmfit_jax.report.page import document

_NAMES = {"validation": "held-out error", "test": "test error"}


def directions_page(report: dict[str, Any], command: str) -> str:
    """The page as HTML text; the same report and command give the same page.

    Args:
        report: the contents of `report.json` (`ulmfit_jax.cli.directions`).
        command: the exact command.
    """
    measured = [name for name in _NAMES if name in report]
    runs = [*zip(report["directions"], report["runs"], strict=True), ("together", report)]
    most = max([run[name]["error"] for _, run in runs for name in measured], default=0.0) or 1.0
    rows: list[list[Content]] = []
    for direction, run in runs:
        alone = direction != "together"
        title: Content = (
            element("a", direction, href=f"{direction}/report.html") if alone else element("strong", direction)
        )
        errors = (run[name]["error"] for name in measured)
        rows.append([title, *(bar(error / most, f"{error:.2%}", "b" if alone else "a") for error in errors)])
    parts: list[Content] = [
        table("Error by direction", ["", *(_NAMES[name] for name in measured)], rows, class_="small")
    ]
    if report.get("baseline", {}).get("error") is not None and "test" in report:
        baseline = report["baseline"]
        parts.append(element("p", f"{baseline['name']} on the same test texts: {baseline['error']:.2%}."))
    parts.append(element("p", "Together: the mean of the probabilities of the two for each text.", class_="note"))
    title_text = "A forward and a backward classifier"
    lead = f"{', '.join(report['classes'])}. Both learnt from the same texts, and hold out the same ones."
    head = element("header", element("h1", title_text), element("p", lead))
    done = [element("h2", "What was done"), element("p", "The command:"), element("pre", command)]
    return document(title_text, [head, element("main", parts, done)])
