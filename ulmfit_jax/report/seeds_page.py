"""The page of `--seeds`: the runs side by side, with links to their own pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ulmfit_jax.report.elements import Content, bar, element, table
from ulmfit_jax.report.page import document
from ulmfit_jax.report.remarks import flattered

_NAMES = {"validation": "held-out error", "test": "test error"}


def seeds_page(summary: dict[str, Any], command: str) -> str:
    """The page as HTML text; the same summary and command give the same page.

    Args:
        summary: the contents of `report.json` of several runs (`ulmfit_jax.cli.seeds`).
        command: the exact command.
    """
    measured = [name for name in _NAMES if name in summary]
    most = max([run[name]["error"] for run in summary["runs"] for name in measured], default=0.0) or 1.0
    rows: list[list[Content]] = []
    for seed, run in zip(summary["seeds"], summary["runs"], strict=True):
        page = f"{Path(run['model']).parent.name}/report.html"
        link = element("a", f"seed {seed}", href=page)
        errors = (run[name]["error"] for name in measured)
        rows.append([link, *(bar(error / most, f"{error:.2%}", "b") for error in errors)])
    for title, key in (
        ("mean", "error"),
        ("standard deviation", "error_sd"),
        ("smallest", "error_min"),
        ("largest", "error_max"),
    ):
        rows.append([title, *(element("td", f"{summary[name][key]:.2%}", class_="barred") for name in measured)])
    parts: list[Content] = [
        table("Error of each run", ["", *(_NAMES[name] for name in measured)], rows, class_="small")
    ]
    if not measured:
        parts = [element("ul", [element("li", row[0]) for row in rows[: len(summary["seeds"])]])]
    if summary.get("baseline", {}).get("error") is not None:
        baseline = summary["baseline"]
        parts.append(element("p", f"{baseline['name']} on the same test texts: {baseline['error']:.2%}."))
    if seen := summary.get("test", {}).get("also_in_training"):
        parts.append(element("p", flattered(seen)))
    count = len(summary["seeds"])
    head = element(
        "header", element("h1", f"{count} runs of the same training"), element("p", _lead(summary, measured))
    )
    command_parts = [element("h2", "What was done"), element("p", "The command:"), element("pre", command)]
    return document(f"{count} runs of the same training", [head, element("main", parts, command_parts)])


def _lead(summary: dict[str, Any], measured: list[str]) -> str:
    if not measured:
        return "Nothing was measured: no text was held out, and there was no --test."
    figures = summary[measured[-1]]
    what = _NAMES[measured[-1]].capitalize()
    return f"{what} {figures['error']:.2%} ± {figures['error_sd']:.2%} (mean and standard deviation over seeds)."
