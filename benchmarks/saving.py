"""What saving its state costs a training: steps with a save among them beside steps without one, in turn in one run.

    python benchmarks/saving.py                                          # the preset `small`, 8,192 pieces, 64 x 72
    python benchmarks/saving.py --preset tiny --batch-size 8 --steps 4 --pairs 3       # to see that it runs

One run of the loop that `ulmfit` trains with, in a run folder, over random tokens. Every second group of `--steps`
steps begins with a save; the time of such a group less that of the group after it, without a save, is what a save
costs: what the step waits for, and what writing in the background takes from the steps after it. A training saves every
300 s (`LoopOptions.save_seconds`), so the share of its time is this cost over 300 s. Both are given as seconds on the
clock and as seconds of the processors: where other work shares the machine, only the second mean something, and they
are an upper bound, as writing uses a processor beside those that compute. Figures: docs/reliability.md.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from data import stream
from ulmfit_jax.nn.architecture import preset
from ulmfit_jax.training.language_model import LanguageModelTask
from ulmfit_jax.training.loop import Loop
from ulmfit_jax.training.loop_options import LoopOptions
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.progress import SilentProgress
from ulmfit_jax.training.recipes import pretrain_stages
from ulmfit_jax.training.run_folder import RunFolder
from ulmfit_jax.training.task import TrainState

VOCABULARY, BPTT = 8_192, 72


def now() -> tuple[float, float]:
    """Seconds on the clock, and of all processors in this process."""
    return time.perf_counter(), time.process_time()


class Stamps(SilentProgress):
    """When each step was done, on the clock and in time of the processors."""

    def __init__(self) -> None:
        self.times: list[tuple[float, float]] = []

    def step_done(self, done_steps: int, loss: float) -> None:
        """The loss of this step is there."""
        self.times.append(now())


class TimedFolder(RunFolder):
    """How long each save has kept the loop waiting, in seconds, and the largest state in bytes."""

    def __init__(self, path: Path):
        super().__init__(path, {})
        self.waited: list[float] = []
        self.size = 0

    def save(self, state: TrainState, *more: Any) -> None:
        """As `RunFolder.save`, timed."""
        self.size = max(self.size, sum(leaf.nbytes for leaf in jax.tree.leaves(state)))
        began = time.perf_counter()
        super().save(state, *more)
        self.waited.append(time.perf_counter() - began)


def trained(options: argparse.Namespace, folder: TimedFolder) -> list[tuple[float, float]]:
    """The times of the steps of a run that saves after every second group of steps."""
    devices, stamps, group = Devices(1), Stamps(), options.steps
    sizes = preset(options.preset, VOCABULARY)
    data = stream(VOCABULARY, (2 * options.pairs + 2) * group, options.batch_size, BPTT)
    task = LanguageModelTask(sizes, data, None, devices)
    kept = LoopOptions(save_steps=2 * group)
    Loop(task, pretrain_stages(1), devices, seed=0, folder=folder, options=kept, progress=stamps).run(
        *task.definition.initialise(0)
    )
    return stamps.times


def pairs(times: Sequence[float], group: int) -> list[tuple[float, float]]:
    """Seconds of each group of steps that begins with a save, and of the one after it; the first two, with the
    compilation, are left out."""
    return [
        (times[at + group - 1] - times[at - 1], times[at + 2 * group - 1] - times[at + group - 1])
        for at in range(2 * group, len(times) - 2 * group + 1, 2 * group)
    ]


def row(name: str, found: list[tuple[float, float]], group: int) -> str:
    """A row of the table: what a step takes, what a save costs, and its share where there is one every 300 s."""
    step = statistics.median(without for _, without in found) / group
    costs = [with_save - without for with_save, without in found]
    cost, every = statistics.median(costs), LoopOptions().save_seconds
    return f"| {name} | {step:.3f} s | {cost:.3f} s ({min(costs):.3f} to {max(costs):.3f}) | {cost / every:.2%} |"


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="small")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=6, help="of a group")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--folder", type=Path, help="where to save, by default the system's temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        folder = TimedFolder(Path(place))
        times = trained(options, folder)
    step = pairs([clock for clock, _ in times], options.steps)
    waited = statistics.median(folder.waited[: len(step)])
    share = waited * options.steps / statistics.median(without for _, without in step)
    print(f"a state is {folder.size / 1e6:.0f} MB; a step waits {waited:.3f} s for a save, {share:.1%} of a step")
    print(f"| {len(step)} pairs | a step | a save | share of the time, one every 300 s |\n|---|---|---|---|")
    print(row("on the clock", step, options.steps))
    print(row("of the processors", pairs([busy for _, busy in times], options.steps), options.steps))


if __name__ == "__main__":
    main()
