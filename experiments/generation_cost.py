"""What a generated word costs, and how that grows with the length of the text: nothing, as the state is carried.

    python experiments/generation_cost.py

Reads nothing; takes a minute on two CPU cores. For each length a text is written once to compile and three times to
measure, of which the median counts; the table shows seconds and milliseconds a word for drawing, for drawing without
repeats, and for beam search. The milliseconds a word do not grow from row to row: the cost is linear in the length.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

from ulmfit_jax import LanguageModel

KINDS: dict[str, dict[str, Any]] = {
    "drawn": {},
    "no_repeat=4": {"no_repeat": 4},
    "beams=4": {"beams": 4, "no_repeat": 4},
}


def seconds(model: LanguageModel, words: int, options: dict[str, Any], repeats: int = 3) -> float:
    """The median time of a text of so many words."""
    taken = []
    for seed in range(repeats + 1):
        started = time.monotonic()
        model.generate("The city of", words, seed=seed, **options)
        taken.append(time.monotonic() - started)
    return statistics.median(taken[1:])


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="wikipedia-small-forward", help="a shipped language model or a folder")
    parser.add_argument("--words", type=int, nargs="+", default=[50, 100, 200, 400, 800])
    options = parser.parse_args()
    model = LanguageModel.load(options.model)
    print(f"{'words':>6}" + "".join(f"{name:>24}" for name in KINDS))
    for words in options.words:
        row = [seconds(model, words, chosen) for chosen in KINDS.values()]
        print(f"{words:>6}" + "".join(f"{taken:>11.2f} s {1000 * taken / words:>6.1f} ms" for taken in row))


if __name__ == "__main__":
    main()
