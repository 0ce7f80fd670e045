"""`--dry-run`: the plan of a training for a person."""

from __future__ import annotations

from typing import Any

from ulmfit_jax.cli.console import note, show, show_json
from ulmfit_jax.cli.training_run import TrainingRun


def announce_plan(out: str, command: str) -> None:
    """Say what is about to be done; refuses a folder that is no place for the run."""
    TrainingRun(out, command, {})
    note("measuring some steps of each kind, which includes their compilation …")


def show_plan(report: dict[str, Any], as_json: bool) -> None:
    """Print a plan: as one line of JSON, or for a person."""
    if as_json:
        show_json(report)
    else:
        show(plan_as_text(report))


def plan_as_text(report: dict[str, Any]) -> str:
    """A report of `ulmfit_jax.dry_run` as lines and a table."""
    tokens = ", ".join(f"{count:,} for the {part.replace('_', ' ')}" for part, count in report["tokens"].items())
    lines = [
        f"texts       {_texts(report)}",
        f"tokens      {tokens}",
        f"model       {report['parameters']:,} parameters, {report['vocabulary']:,} vocabulary entries, "
        f"{report['precision']} on {report['devices']}",
        "",
        f"{'stage':<28}{'epochs':>7}{'steps':>9}  {'rate':<19}{'time':>9}",
    ]
    lines += [_row(row) for row in report["stages"]]
    runs = f" for each of {report['runs']} seeds" if report.get("runs", 1) > 1 else ""
    lines.append(f"{'all stages' + runs:<65}{_time(report['seconds']):>9}")
    compiling = sum(row["compiling"] for row in report["stages"])
    lines += ["", f"Times are estimates from some steps of each kind here and now; {_time(compiling)} of them compile."]
    return "\n".join([*lines, "Nothing was trained or written."])


def _texts(report: dict[str, Any]) -> str:
    documents = report["documents"]
    measuring = f"({documents['validation']:,} of them to measure on)"
    if "classes" not in report:
        return f"{documents['read']:,} {measuring}"
    classes = f"{documents['labelled']:,} labelled {measuring} of {len(report['classes'])} classes"
    return f"{classes}, {documents['unlabelled']:,} without a label, {documents['test']:,} to test"


def _row(row: dict[str, Any]) -> str:
    part = row["part"].replace("_", " ")
    name = part if part == row["name"].replace("-", " ") else f"{part}: {row['name']}"
    counts = f"{row['epochs']:>7,}{row['steps']:>9,}" if row["epochs"] else " " * 16
    return f"{name:<28}{counts}  {_rate(row['learning_rate']):<19}{_time(row['seconds']):>9}"


def _rate(rate: Any) -> str:
    if rate is None:
        return ""
    if isinstance(rate, tuple):
        return " to ".join(f"{part:.2g}" for part in rate if part is not None)
    return f"{rate:.2g}"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
