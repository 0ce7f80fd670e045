"""Several processes as one training command: the options, and how a process finds the others."""

from __future__ import annotations

import argparse
import os
import sys

from ulmfit_jax.cli.arguments import whole_number
from ulmfit_jax.errors import ConfigError


def add_process_options(parser: argparse.ArgumentParser) -> None:
    """The options of a run in several processes, on one machine or many."""
    group = parser.add_argument_group(
        "several processes",
        "Start the same command on every machine, with a folder --out that all of them see. On Slurm, TPU pods, "
        "Kubernetes and under MPI, --distributed is enough; elsewhere say where the first process is.",
    )
    group.add_argument("--distributed", action="store_true", help="share the work with the other processes of the job")
    group.add_argument("--coordinator", metavar="HOST:PORT", help="a free port of the machine of process 0")
    group.add_argument("--processes", type=whole_number(1), metavar="N", help="how many there are")
    group.add_argument("--process", type=whole_number(0), metavar="I", help="the number of this one, from 0")


def join_processes(options: argparse.Namespace) -> None:
    """Find the other processes, if there are any, before anything is computed; only the first one prints results.

    Raises:
        ConfigError: the options do not belong together, or the others cannot be found.
    """
    given = (options.coordinator, options.processes, options.process)
    if any(value is not None for value in given) and None in given:
        raise ConfigError("--coordinator, --processes and --process belong together: give all three, or --distributed")
    if options.coordinator is None and not options.distributed:
        return
    import jax

    try:
        jax.distributed.initialize(*given)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"the processes of this run cannot be joined ({reason}): give --coordinator HOST:PORT, --processes and "
            "--process to each of them"
        ) from error
    if jax.process_index() > 0:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
