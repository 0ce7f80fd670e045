"""Memory against the size of the corpus: tokenising, reading a whole shuffled epoch, and training steps.

    python benchmarks/memory.py 'DATA/wikipedia-en/part-*-of-8.txt.xz' --work-dir WORK --steps 20
    python benchmarks/memory.py ... --megabytes 1 2 --steps 5                            # to see that it runs

Each piece of work runs in a process of its own over the first so many megabytes of the texts, with the tokeniser of the
shipped model. The table has two peaks: memory that belongs to the process (Linux's RssAnon, sampled 50
times a second), which must not grow with the corpus, and all that is resident. There the pages of the mapped token file
count too, which the system drops as soon as it wants the memory for something else. Figures: docs/reliability.md.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ulmfit_jax.data import LanguageModelStream, build_corpus, iter_texts, open_corpus
from ulmfit_jax.nn.architecture import preset
from ulmfit_jax.pretrained import model_folder
from ulmfit_jax.text import load_tokenizer
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.progress import SilentProgress
from ulmfit_jax.training.recipes import pretrain_stages
from ulmfit_jax.training.runs import LanguageModelSettings, RunContext, train_language_model

BATCH_SIZE, BPTT = 64, 72


class Enough(Exception):
    """So many steps are done."""


class Counted(SilentProgress):
    """Ends a training after some steps."""

    def __init__(self, steps: int):
        self._steps = steps

    def step_done(self, done_steps: int, loss: float) -> None:
        """Raises `Enough` at the last step."""
        if done_steps >= self._steps:
            raise Enough


class Peak(threading.Thread):
    """The largest RssAnon of this process until `stop`, in MiB; Linux keeps a peak of all resident memory only."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._end = threading.Event()
        self.anonymous = 0

    def run(self) -> None:
        """Sample."""
        while not self._end.wait(0.02):
            self.anonymous = max(self.anonymous, status("RssAnon"))

    def stop(self) -> tuple[int, int]:
        """Both peaks."""
        self._end.set()
        self.join()
        return max(self.anonymous, status("RssAnon")), status("VmHWM")


def status(name: str) -> int:
    """A line of Linux's account of this process, in MiB."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"))
    assert found is not None, "needs Linux"
    return int(found[1]) // 1024


def first(texts: Iterable[str], size: int) -> Iterator[str]:
    """Whole documents up to so many bytes."""
    for text in texts:
        size -= len(text.encode())
        if size < 0:
            return
        yield text


def tokenise(options: argparse.Namespace, folder: Path, size: int) -> Any:
    """Stream the texts into a folder of tokens."""
    shutil.rmtree(folder, ignore_errors=True)
    texts = first(iter_texts(options.texts), size)
    return build_corpus(texts, load_tokenizer(model_folder("wikipedia-small-forward")), folder).n_tokens


def read(options: argparse.Namespace, folder: Path, size: int) -> int:
    """Every batch of an epoch in a drawn order of the documents."""
    stream = LanguageModelStream(open_corpus(folder), BATCH_SIZE, BPTT, shuffle=True)
    return sum(inputs.size for inputs, _ in stream.epoch(1))


def train(options: argparse.Namespace, folder: Path, size: int) -> int:
    """Some steps of a small network, spread over the whole corpus as every batch is."""
    sizes = preset("tiny", len(load_tokenizer(model_folder("wikipedia-small-forward")).vocabulary))
    context = RunContext(Devices(1), progress=Counted(options.steps))
    settings = LanguageModelSettings(BATCH_SIZE, BPTT)
    try:
        train_language_model(sizes, None, open_corpus(folder), None, pretrain_stages(1), settings, 0, context)
    except Enough:
        return options.steps * BATCH_SIZE * BPTT
    raise SystemExit(f"an epoch has fewer than {options.steps} steps: give fewer --steps")


WORK = {"tokenise": tokenise, "read an epoch": read, "train": train}


def alone(options: argparse.Namespace) -> None:
    """Do one piece of work and print: tokens, seconds, both peaks."""
    name, megabytes = options.alone
    peak = Peak()
    peak.start()
    began = time.perf_counter()
    tokens = WORK[name](options, options.work_dir / f"tokens-{megabytes}", int(1e6 * float(megabytes)))
    print(tokens, round(time.perf_counter() - began, 1), *peak.stop())


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", help="text files, as a pattern")
    parser.add_argument("--work-dir", type=Path, required=True, help="tokens; can be deleted after")
    parser.add_argument("--megabytes", nargs="+", default=["100", "200", "400"], metavar="MB")
    parser.add_argument("--steps", type=int, default=50, help="of training")
    parser.add_argument("--alone", nargs=2, metavar=("WORK", "MB"), help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """The table."""
    options = arguments()
    if options.alone:
        alone(options)
        return
    print("| work | text | tokens | seconds | own memory, peak | resident, peak |\n|---|---|---|---|---|---|")
    for name in WORK:
        for megabytes in options.megabytes:
            command = [sys.executable, __file__, options.texts, "--work-dir", str(options.work_dir)]
            command += ["--steps", str(options.steps), "--alone", name, megabytes]
            said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
            tokens, seconds, own, resident = said[-4:]
            row = f"| {name} | {megabytes} MB | {int(tokens):,} | {seconds} | {own} MiB | {resident} MiB |"
            print(row, flush=True)


if __name__ == "__main__":
    main()
