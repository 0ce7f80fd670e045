"""Kills a tiny run at random moments, again and again, and compares what comes out with the uninterrupted run.

    python tests/training/torture.py [--kills 50] [--seed 0]

Each trial is a run of a language model and a classifier of its own, in a new folder: the process gets SIGKILL, a second
one goes on to the end. Its parameters and statistics have to be those of the uninterrupted run, bit for bit, and its
tables have to have every row once. The moment is drawn from the time between the first sign of the run folder and the
end of the whole run; every second trial waits from there until a state is being written, and kills then. Exit code 1 if
a trial fails; its folder is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

DRIVER = Path(__file__).with_name("resume_driver.py")
RUNS = {"language_model": "run-lm", "classifier": "run-cl"}
IN_A_SAVE = "one more half-written"


def start(folder: Path) -> subprocess.Popen[bytes]:
    """The driver on this folder, as a process."""
    return subprocess.Popen([sys.executable, str(DRIVER), str(folder)], stderr=subprocess.DEVNULL)


def difference(whole: Path, folder: Path) -> str | None:
    """What a run has that the uninterrupted one has not; None if they are the same."""
    for name, run in RUNS.items():
        expected, found = np.load(whole / f"{name}.npz"), np.load(folder / f"{name}.npz")
        if sorted(expected.files) != sorted(found.files):
            return f"other arrays in {name}"
        for path in expected.files:
            if expected[path].tobytes() != found[path].tobytes():
                return f"{path} of {name}"
        if table(whole / run) != table(folder / run):
            return f"the table of {name}"
    return None


def table(run: Path) -> list[dict[str, Any]]:
    """The rows of a run's table without their times."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def unfinished_states(folder: Path) -> list[Path]:
    """States that are being written."""
    return [path for run in RUNS.values() for path in (folder / run / "state").glob("*tmp*")]


def wait_for_the_run(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Until the process has begun with its run folder; importing and the like before that loses nothing."""
    while process.poll() is None and not (folder / RUNS["language_model"] / "config.json").exists():
        time.sleep(0.001)


def trial(whole: Path, folder: Path, moment: float, in_a_save: bool) -> tuple[str, str | None] | None:
    """Kill at `moment` seconds of the run or in the next save, go on to the end: how far it came, what differs.

    None if the run came to its end first, which is no trial.
    """
    process = start(folder)
    wait_for_the_run(process, folder)
    time.sleep(moment)
    while in_a_save and process.poll() is None and not unfinished_states(folder):
        time.sleep(0.0005)
    process.kill()
    if process.wait() == 0:
        return None
    states = {run: sum(path.name.isdecimal() for path in (folder / run / "state").glob("*")) for run in RUNS.values()}
    reached = f"states {states}" + (", " + IN_A_SAVE if unfinished_states(folder) else "")
    if start(folder).wait() != 0:
        return reached, "the second process failed"
    return reached, difference(whole, folder)


def main() -> None:
    """Run all trials and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="ulmfit-torture-"))
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(place / "programs"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    whole, again = place / "whole", place / "again"
    for folder in (whole, again):  # the second one finds its programs compiled, as the trials do
        folder.mkdir()
        process = start(folder)
        wait_for_the_run(process, folder)
        began = time.monotonic()
        if process.wait() != 0:
            sys.exit("the uninterrupted run failed")
    duration = time.monotonic() - began
    generator, failed, in_saves = random.Random(options.seed), 0, 0
    for number in range(options.kills):
        outcome = None
        while outcome is None:
            folder = place / f"trial-{number}"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            moment = generator.uniform(0, duration)
            outcome = trial(whole, folder, moment, in_a_save=number % 2 == 1)
        reached, wrong = outcome
        print(
            f"{number + 1:3d}: killed after {moment:5.2f} of {duration:.2f} s, {reached}: {wrong or 'the same'}",
            flush=True,
        )
        failed += wrong is not None
        in_saves += IN_A_SAVE in reached
        if wrong is None:
            shutil.rmtree(folder)
    print(f"{in_saves} of {options.kills} kills left a half-written state")
    print(f"{options.kills - failed} of {options.kills} runs ended as the uninterrupted one, bit for bit")
    if failed:
        sys.exit(f"the others are in {place}")
    shutil.rmtree(place)


if __name__ == "__main__":
    main()
