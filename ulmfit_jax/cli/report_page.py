"""The page that `ulmfit train` leaves beside the results; a page that fails costs nothing but itself."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ulmfit_jax.cli.console import note
from ulmfit_jax.cli.training_run import TrainingRun

if TYPE_CHECKING:
    from ulmfit_jax.data import TextDataset
    from ulmfit_jax.report.facts import Answered


def leave_page(
    options: argparse.Namespace,
    training: TrainingRun,
    report: dict[str, Any],
    data: TextDataset,
    test: TextDataset | None,
    answered: Answered | None,
) -> None:
    """Write the page of one run, `report.html`; `answered` are the answers on `test`, if there are any yet."""
    with _costs_nothing_else(training.page):
        from ulmfit_jax.report.run_report import write_run_report

        write_run_report(
            training.page,
            options.command_line,
            report,
            data,
            test,
            answered,
            validation_fraction=options.validation_fraction,
            seed=options.seed,
            devices=options.devices,
        )


def leave_seeds_page(options: argparse.Namespace, together: TrainingRun, summary: dict[str, Any]) -> None:
    """Write the page over the runs of `--seeds`."""
    with _costs_nothing_else(together.page):
        from ulmfit_jax.report.seeds_page import seeds_page

        _write(together.page, seeds_page(summary, options.command_line))


def leave_directions_page(options: argparse.Namespace, together: TrainingRun, report: dict[str, Any]) -> None:
    """Write the page over the runs of `--both-directions`."""
    with _costs_nothing_else(together.page):
        from ulmfit_jax.report.directions_page import directions_page

        _write(together.page, directions_page(report, options.command_line))


def _write(page: Path, text: str) -> None:
    from ulmfit_jax.training.processes import is_first
    from ulmfit_jax.training.run_configuration import write_atomically

    if is_first():
        write_atomically(page, text)


@contextlib.contextmanager
def _costs_nothing_else(page: Path) -> Iterator[None]:
    """The model and `report.json` are on disk: whatever goes wrong is said, and the command ends well."""
    try:
        yield
    except Exception as error:
        reason = " ".join(f"{type(error).__name__} {error}".split())[:300]
        note(
            f"the page {page} could not be written ({reason}); model and results are saved, and the same command "
            "tries again"
        )
