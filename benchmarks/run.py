"""This package against fastai on the same machine, in one run.

    make bench                                                        # everything; takes hours on 2 CPU cores
    python benchmarks/run.py --data-dir DATA --stages prediction      # one stage

Each stage does the same piece of work on both sides with the full-size network (400/1152/1152/400, float32): the same
tokens, batches, dropouts and callbacks; but each tokenises in its own way, into pieces here and spaCy's words there.
Both sides are warmed up, then run in turn; the table has the median of each and the ratio with its range. Peak memory
is that of a process that runs one side alone. The ceiling is what one large matrix product reaches in the same run; the
arithmetic of a training step is three times its forward products.

DATA holds the prepared TFDS data set `imdb_reviews`. Needs torch and fastai (`make oracle`).
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from data import BATCH_SIZE, BPTT, full_size
from timing import Timings, Work, alternate, rate

STAGES: dict[str, tuple[str, Callable[[Any, argparse.Namespace], Work]]] = {
    "tokenisation": ("documents", lambda side, o: side.tokenisation(o.data_dir, min(40 * o.documents, 25_000))),
    "language model, 60,008 words": ("tokens", lambda side, o: side.language_model(60_008, o.steps)),
    "language model, 8,192 pieces": ("tokens", lambda side, o: side.language_model(8_192, 4 * o.steps)),
    "classifier, head only": ("documents", lambda side, o: side.classifier(o.data_dir, o.documents, -1)),
    "classifier, later epochs of the head with `cache_frozen`": (
        "documents",
        lambda side, o: side.classifier(o.data_dir, o.documents, -1, True),
    ),
    "classifier, unfrozen": ("documents", lambda side, o: side.classifier(o.data_dir, o.documents, 0)),
    "prediction": ("documents", lambda side, o: side.prediction(o.data_dir, o.documents)),
    "the whole method": ("documents", lambda side, o: whole_method(side, o)),
}
"""Unit, and the work of a side, by name."""

VOCABULARIES = {"language model, 60,008 words": 60_008, "language model, 8,192 pieces": 8_192}
SIDES = ("ours", "theirs")
TOKENS_OF_A_REVIEW = 350
"""Mean number of pieces in a review of IMDb."""


def whole_method(side: Any, options: argparse.Namespace) -> Work:
    """The reference notebook in small: an epoch of the language model over a quarter of the reviews, one of the head,
    one of all layers, and answers on as many."""
    documents = options.documents // 4
    parts = [
        side.language_model(8_192, round(documents * TOKENS_OF_A_REVIEW / (BATCH_SIZE * BPTT))),
        side.classifier(options.data_dir, documents, -1),
        side.classifier(options.data_dir, documents, 0),
        side.prediction(options.data_dir, documents),
    ]

    def work() -> float:
        for part in parts:
            part()
        return documents

    return work


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--stages", nargs="+", metavar="NAME", help="beginnings of the names of stages; default: all")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--documents", type=int, default=600, help="reviews; tokenisation takes forty times as many, 25,000 at most"
    )
    parser.add_argument("--steps", type=int, default=1, help="steps of a measurement; four times at 8,192 pieces")
    parser.add_argument("--no-memory", action="store_true", help="leave peak memory out")
    parser.add_argument("--alone", nargs=2, metavar=("SIDE", "STAGE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    wanted = tuple(options.stages or ("",))
    options.names = [name for name in STAGES if name.startswith(wanted)]
    if not options.names:
        parser.error(f"--stages: choose among {', '.join(repr(name) for name in STAGES)}")
    return options


def made(side: str, name: str, options: argparse.Namespace) -> Work:
    """The work of one side; only then is its library imported."""
    return STAGES[name][1](importlib.import_module(side), options)


def alone(side: str, name: str, options: argparse.Namespace) -> None:
    """Do the work twice and print the peak memory of this process, in MiB."""
    work = made(side, name, options)
    work()
    work()
    # Not `ru_maxrss`, which a process inherits from the one that started it.
    status = Path("/proc/self/status").read_text("utf-8")
    print(next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) // 1024)


def peak_memory(side: str, name: str, options: argparse.Namespace) -> int:
    """MiB that a process takes which runs this side alone."""
    command = [sys.executable, __file__, "--data-dir", str(options.data_dir), "--alone", side, name]
    command += ["--documents", str(options.documents), "--steps", str(options.steps)]
    output = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(output.stdout.split()[-1])


def ceiling() -> float:
    """GFLOP/s of one large float32 matrix product, the best of 10."""
    import jax
    import jax.numpy as jnp

    size = 2048
    product = jax.jit(jnp.dot)
    left = jnp.ones((size, size), jnp.float32)
    product(left, left).block_until_ready()

    def work() -> float:
        product(left, left).block_until_ready()
        return 2 * size**3 / 1e9

    return max(rate(work) for _ in range(10))


def step_arithmetic(vocabulary: int) -> float:
    """GFLOP of a language model's training step for each token."""
    sizes = full_size(vocabulary)
    lstm = sum(4 * out * (inputs + out) for inputs, out in sizes.layer_sizes())
    return 3 * 2 * (lstm + sizes.embedding_size * vocabulary) / 1e9


def report(timings: Timings, options: argparse.Namespace) -> None:
    """Print a row, and what belongs to it."""
    memory = ""
    if not options.no_memory:
        ours, theirs = (peak_memory(side, timings.name, options) for side in SIDES)
        memory = f" {ours:,} / {theirs:,} MiB ({ours / theirs:.2f})"
    print(f"{timings.row()}{memory} |", flush=True)


def main() -> None:
    """Time the stages, or one side's memory."""
    options = arguments()
    if options.alone:
        side, name = options.alone
        alone(side, name, options)
        return
    versions = {name: importlib.metadata.version(name) for name in ("jax", "torch", "fastai")}
    machine = f"{os.cpu_count()} x {platform.processor() or platform.machine()}"
    print(f"{machine}, Python {platform.python_version()}, {versions}\n")
    print("| stage | ulmfit-jax | fastai | ratio (range) | peak memory |\n|---|---|---|---|---|")
    reached = []
    for name in options.names:
        ours, theirs = (made(side, name, options) for side in SIDES)
        timings = alternate(name, STAGES[name][0], ours, theirs, options.repeats)
        report(timings, options)
        if name in VOCABULARIES:
            top = ceiling()
            rates = sorted(timings.ours)
            used = rates[len(rates) // 2] * step_arithmetic(VOCABULARIES[name])
            reached.append(f"{name}: {used:.0f} of {top:.0f} GFLOP/s, {used / top:.0%} of the ceiling")
    print("\n" + "\n".join(reached))


if __name__ == "__main__":
    main()
