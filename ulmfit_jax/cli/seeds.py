"""`ulmfit train --seeds N`: the same training from several seeds, each in its own folder, and how far they differ."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ulmfit_jax.counted import also_learnt


def seed_runs(options: argparse.Namespace) -> Iterator[argparse.Namespace]:
    """The options of each run: seeds `--seed`, `--seed` + 1, … in the folders `seed-S` of `--out`."""
    for seed in range(options.seed, options.seed + options.seeds):
        out = str(Path(options.out) / f"seed-{seed}")
        yield argparse.Namespace(**{**vars(options), "seed": seed, "out": out, "seeds": 1})


def over_seeds(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One report of several runs.

    Args:
        reports: of the runs, which differ in their seeds alone.

    Returns:
        `seeds`, `runs` (the reports), `seconds` of each stage in all runs together, and, where they were measured,
        `validation` and `test` (`accuracy` and `error` are means; `error_sd` is the sample's standard deviation) and
        `baseline`, which has no seed.
    """
    stages = {name: round(sum(report["seconds"].get(name, 0.0) for report in reports), 3) for name in _stages(reports)}
    summary: dict[str, Any] = {"seeds": [report["seed"] for report in reports], "runs": list(reports)}
    for measured_on in ("validation", "test"):
        if all(measured_on in report for report in reports):
            summary[measured_on] = _spread([report[measured_on]["error"] for report in reports])
    if "test" in summary:
        first = reports[0]["test"]
        summary["test"] |= {"n": first["n"], "also_in_training": first.get("also_in_training", 0)}
        summary["baseline"] = reports[0]["baseline"]
    return {**summary, "seconds": stages}


def _stages(reports: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for report in reports for name in report["seconds"]))


def _spread(errors: Sequence[float]) -> dict[str, float]:
    mean = statistics.fmean(errors)
    spread = {"sd": statistics.stdev(errors), "min": min(errors), "max": max(errors)}
    return {"accuracy": 1 - mean, "error": mean, **{f"error_{name}": value for name, value in spread.items()}}


def seeds_as_text(summary: dict[str, Any]) -> str:
    """The report of several runs as a table for a person."""
    measured = [name for name in ("validation", "test") if name in summary]
    lines = [f"{'error':<20}" + "".join(f"{name:>12}" for name in measured)]
    for seed, run in zip(summary["seeds"], summary["runs"], strict=True):
        lines.append(_row(f"seed {seed}", [run[name]["error"] for name in measured]))
    for label, key in (
        ("mean", "error"),
        ("standard deviation", "error_sd"),
        ("min", "error_min"),
        ("max", "error_max"),
    ):
        lines.append(_row(label, [summary[name][key] for name in measured]))
    baseline = summary.get("baseline", {})
    if baseline.get("error") is not None:
        lines.append(_row("baseline", [baseline["error"]], columns=len(measured)) + f"   {baseline['name']}")
    if seen := summary.get("test", {}).get("also_in_training"):
        lines.append(also_learnt(seen))
    lines += [f"model of seed {run['seed']}: {run['model']}" for run in summary["runs"]]
    return "\n".join(lines)


def _row(label: str, values: Sequence[float], columns: int = 0) -> str:
    cells = [""] * (columns - len(values)) + [f"{value:.2%}" for value in values]
    return f"{label:<20}" + "".join(f"{cell:>12}" for cell in cells)
