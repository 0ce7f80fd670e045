"""The page of `--both-directions`: forward, backward and both together, with links to the pages of the two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ulmfit_jax.counted import counted
from ulmfit_jax.report.elements import Content, bar, element, table
from ulmfit_jax.report.measures import share_interval
from ulmfit_jax.report.page import document
from ulmfit_jax.report.remarks import FEW_TEXTS, few_texts, flattered

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
    head: list[Content] = ["", *(f"{_NAMES[name]}, {counted(report[name]['n'], 'text')}" for name in measured)]
    parts: list[Content] = [table("Error by direction", head, rows, class_="small"), _remarks(report, measured)]
    if report.get("baseline", {}).get("error") is not None and "test" in report:
        baseline = report["baseline"]
        parts.append(element("p", f"{baseline['name']} on the same test texts: {baseline['error']:.2%}."))
    together = "the mean of the probabilities of the two for each text"
    if "ngrams" in report:
        together += ", and n-grams beside it"
    parts.append(element("p", f"Together: {together}.", class_="note"))
    title_text = "A forward and a backward classifier"
    lead = f"{', '.join(report['classes'])}. {_learnt_from(report)}"
    header = element("header", element("h1", title_text), element("p", lead))
    done = [element("h2", "What was done"), element("p", "The command:"), element("pre", command)]
    return document(title_text, [header, element("main", parts, done)])


def _learnt_from(report: dict[str, Any]) -> str:
    """How many texts were trained on and held out, as far as the report says."""
    documents = report.get("documents", {})
    if "validation" not in documents:
        return "Both learnt from the same texts, and hold out the same ones."
    learnt = counted(documents["labelled"] - documents["validation"], "labelled text")
    return f"Both learnt from the same {learnt}, and hold out the same {documents['validation']:,}."


def _remarks(report: dict[str, Any], measured: Sequence[str]) -> Content:
    """What the accuracy of both together is worth, with a warning where few texts were measured on."""
    said = []
    for name in measured:
        count = report[name]["n"]
        right = round(report[name]["accuracy"] * count)
        low, high = share_interval(right, count)
        what = "held-out" if name == "validation" else name
        said.append(
            f"Together, accuracy on {counted(count, f'{what} text')}: {right / count:.1%}, 95 % interval {low:.1%} to "
            f"{high:.1%}."
        )
        if count < FEW_TEXTS:
            said.append(few_texts(count, right))
        if seen := report[name].get("also_in_training"):
            said.append(flattered(seen))
    return element("ul", [element("li", sentence) for sentence in said], class_="remarks") if said else None
