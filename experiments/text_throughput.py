"""Documents a second from raw text to token ids, for each kind of tokeniser.

    python experiments/text_throughput.py --data-dir DATA

DATA holds `imdb_reviews` as TFDS prepares it. The texts are in memory before the clock starts; the tokenisers are
those of the shipped model and of words counted in the same texts. Each is timed `--repeats` times, the best counts:
what slows a run down is other work on the machine.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from running import run_or_explain
from ulmfit_jax import LanguageModel
from ulmfit_jax.data import corpus_in_memory, read_dataset
from ulmfit_jax.text import Tokenizer, WordTokenizer


def seconds(texts: Sequence[str], tokenizer: Tokenizer, workers: int) -> tuple[float, int]:
    """Time to tokenise all texts, and the tokens that come out."""
    start = time.perf_counter()
    corpus = corpus_in_memory(texts, tokenizer, workers)
    return time.perf_counter() - start, corpus.n_tokens


def main() -> None:
    """Time each tokeniser and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=25_000)
    parser.add_argument("--workers", type=int, default=2, help="processes that tokenise")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    texts = read_dataset("tfds:imdb_reviews:train", data_dir=options.data_dir).texts[: options.documents]
    words = WordTokenizer.train(texts)
    print(f"{len(texts):,} IMDb reviews, {options.workers} processes\n")
    print("| tokeniser | documents/s | tokens/s |\n|---|---|---|")
    for name, tokenizer in [("sentencepiece", LanguageModel("wikipedia-small-forward").tokenizer), ("words", words)]:
        timings = [seconds(texts, tokenizer, options.workers) for _ in range(options.repeats)]
        best, tokens = min(timings)
        print(f"| {name} | {len(texts) / best:,.0f} | {tokens / best:,.0f} |", flush=True)


if __name__ == "__main__":
    run_or_explain("text_throughput", main)
