"""`ulmfit doctor`: whether this machine is ready for training, and what to do where it is not."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ulmfit_jax.cli.arguments import add_json
from ulmfit_jax.cli.console import colours_are_shown, show, show_json
from ulmfit_jax.errors import ConfigError

if TYPE_CHECKING:
    from ulmfit_jax.cli.checks import Check

SUMMARY = "check this machine and this installation"

DESCRIPTION = """\
Look at Python and the packages, at the devices, the processor, memory, free disk and the shipped models, and measure a
matrix product and a tiny training step. Each line says ok, or what to do: `could` for what would be better otherwise,
`PROBLEM` for what does not work as it is, which also ends with exit code 2.
"""

EXAMPLES = """\
examples:
  ulmfit doctor
  ulmfit doctor --place /data/runs
  ulmfit doctor --json
"""

_COLOURS = {"ok": 32, "could": 33, "PROBLEM": 31}
"""Green, yellow, red."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ulmfit doctor`."""
    parser.add_argument(
        "--place", metavar="DIR", default=".", help="where run folders are to be, for free disk (default: here)"
    )
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """Check, print line by line, fail if something is broken."""
    found = []
    for check in _checks(Path(options.place)):
        found.append(check)
        if not options.json:
            show(_line(check))
    broken = [check.name for check in found if check.broken]
    if options.json:
        show_json({"ready": not broken, "checks": [asdict(check) for check in found]})
    if broken:
        raise ConfigError(f"this machine is not ready: see {', '.join(broken)}")


def _checks(place: Path) -> Iterator[Check]:
    from ulmfit_jax.cli import checks, speed

    yield from checks.python_and_packages()
    yield checks.extras()
    devices = checks.devices()
    yield devices
    yield checks.processor()
    yield checks.memory()
    yield checks.disk("run folders", place)
    yield checks.compilation_cache()
    yield from checks.models()
    if not devices.broken:
        yield speed.products()
        yield speed.training_step()


def _line(check: Check) -> str:
    state = "PROBLEM" if check.broken else "could" if check.advice else "ok"
    shown = f"\x1b[{_COLOURS[state]}m{state:<8}\x1b[0m" if colours_are_shown() else f"{state:<8}"
    return f"{shown}{check.name:<25}{check.found}" + (f": {check.advice}" if check.advice else "")
