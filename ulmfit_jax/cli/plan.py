"""`--dry-run`: the plan of a training for a person."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ulmfit_jax.cli.console import note, show, show_json
from ulmfit_jax.cli.training_run import TrainingRun
from ulmfit_jax.counted import counted


def begin_plan(out: str, command: str) -> None:
    """Say what is about to be done; refuses a folder that is no place for the run."""
    TrainingRun(out, command, {})
    note("planning: the texts are tokenised …")


def announcing(as_json: bool, seconds: float) -> Callable[[dict[str, Any]], None]:
    """What shows a plan to a person before it is measured, which takes so many seconds; JSON is one line at the end."""

    def announce(plan: dict[str, Any]) -> None:
        if not as_json:
            show(plan_as_text(plan) + "\n")
            sys.stdout.flush()
        note(f"measuring some steps for about {seconds:.0f} s, longer on a busy machine; Ctrl-C ends it …")

    return announce


def show_plan(report: dict[str, Any], as_json: bool) -> None:
    """Print a measured plan: all of it as one line of JSON, or the times for a person, who has seen the rest."""
    if as_json:
        show_json(report)
    else:
        show_times(report)


def show_times(report: dict[str, Any]) -> None:
    """Print the times of a measured plan."""
    show(times_as_text(report))


def show_total(reports: dict[str, dict[str, Any]], as_json: bool) -> None:
    """Print several measured plans, by their names, as one line of JSON, or for a person, who has seen them, how long
    they take together."""
    total = round(sum(report["seconds"] for report in reports.values()), 3)
    if as_json:
        show_json({"plans": reports, "seconds": total})
    else:
        show(f"{' and '.join(reports):<44}{_time(total):>12}")


def plan_as_text(report: dict[str, Any]) -> str:
    """What a report of `ulmfit_jax.dry_run` says before anything is measured, as lines and a table."""
    tokens = ", ".join(f"{count:,} for the {part.replace('_', ' ')}" for part, count in report["tokens"].items())
    lines = [
        f"texts       {_texts(report)}",
        f"tokens      {tokens}",
        f"model       {report['parameters']:,} parameters, {report['vocabulary']:,} vocabulary entries, "
        f"{report['precision']} on {report['devices']}",
        *_held(report),
        "",
        f"{'stage':<28}{'epochs':>7}{'steps':>9}  rate",
        *map(_row, report["stages"]),
    ]
    return "\n".join(lines)


def times_as_text(report: dict[str, Any]) -> str:
    """The times of a report, and where they come from."""
    lines = [f"{'stage':<44}{'time':>12}"]
    lines += [f"{_name(row):<44}{_time(row['seconds']):>12}" for row in report["stages"]]
    runs = f" for each of {report['runs']} seeds" if report.get("runs", 1) > 1 else ""
    lines.append(f"{'all stages' + runs:<44}{_time(report['seconds']):>12}")
    compiling = sum(row["compiling"] for row in report["stages"])
    left = " of what is left to do" if _held(report) else ""
    lines += ["", f"Times{left} are estimates; {_time(compiling)} of them compile. {_measured(report)}"]
    return "\n".join([*lines, "Nothing was trained or written."])


def _measured(report: dict[str, Any]) -> str:
    measured, programs = report["measured"], report["programs"]
    if not programs:
        return "Nothing is left to train."
    if measured == programs:
        return "All programs were run here and now for some steps."
    were = "was" if measured == 1 else "were"
    return (
        f"{measured} of {programs} programs {were} run here and now for some steps; the others are estimated from "
        "these by the number of multiplications."
    )


def _held(report: dict[str, Any]) -> list[str]:
    """A line about what the run folder holds of this training; none where that is nothing."""
    done = [f"{_name(row)} {row['done']} of {row['epochs']}" for row in report["stages"] if row.get("done")]
    return [f"run         goes on; epochs finished: {', '.join(done)}"] if done else []


def _texts(report: dict[str, Any]) -> str:
    documents = report["documents"]
    measuring = f"({documents['validation']:,} of them to measure on)"
    if "classes" not in report:
        return f"{documents['read']:,} {measuring}"
    classes = f"{documents['labelled']:,} labelled {measuring} of {counted(len(report['classes']), 'class', 'classes')}"
    return f"{classes}, {documents['unlabelled']:,} without a label, {documents['test']:,} to test"


def _row(row: dict[str, Any]) -> str:
    counts = f"{row['epochs']:>7,}{row['steps']:>9,}" if row["epochs"] else " " * 16
    return f"{_name(row):<28}{counts}  {_rate(row['learning_rate'])}".rstrip()


def _name(row: dict[str, Any]) -> str:
    part = str(row["part"]).replace("_", " ")
    return part if part == row["name"].replace("-", " ") else f"{part}: {row['name']}"


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
