"""Two tasks that are not IMDb: short questions in six classes, and a language without a shipped model.

    python experiments/small_tasks.py trec --data-dir DATA --out RESULTS
    python experiments/small_tasks.py german --data-dir DATA --out RESULTS

`trec` starts from the shipped English model, fine-tuned on the training questions. `german` starts from nothing: its
tokeniser and language model learn from the training reviews alone. Each seed decides everything that is drawn; the test
set is read once for each. Results are kept in RESULTS/TASK-SEED.json, so that an interrupted run goes on; at the end
mean and standard deviation, beside TF-IDF on the same split.

DATA holds `trec6` and `cls-de-books`, each with `train.jsonl` and `test.jsonl`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from running import run_or_explain
from ulmfit_jax import TextClassifier
from ulmfit_jax.baseline import tfidf_accuracy
from ulmfit_jax.data import read_dataset
from ulmfit_jax.nn.products import PRECISIONS

FOLDERS = {"trec": "trec6", "german": "cls-de-books"}
START: dict[str, dict[str, Any]] = {
    "trec": {"pretrained": "wikipedia-small-forward"},
    "german": {"pretrained": None, "preset": "small"},
}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=FOLDERS)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lm-epochs", type=int, help="of the language model; default: by the amount of text")
    parser.add_argument("--precision", choices=PRECISIONS, help="of matrix products")
    return parser.parse_args()


def measured(options: argparse.Namespace, seed: int) -> dict[str, float]:
    """Train and test once, or read what an earlier call has measured."""
    place = options.out / f"{options.task}-{seed}.json"
    if place.exists():
        return json.loads(place.read_text("utf-8"))
    folder = options.data_dir / FOLDERS[options.task]
    train, test = (read_dataset(folder / f"{split}.jsonl") for split in ("train", "test"))
    model = TextClassifier(
        **START[options.task],
        lm_epochs=options.lm_epochs,
        validation_fraction=0,
        precision=options.precision,
        seed=seed,
        verbose=True,
    )
    model.fit(train.texts, train.labels or [], run_dir=options.out / f"{options.task}-{seed}", workers=2)
    result = {
        "error": 1 - model.evaluate(test.texts, test.labels or [])["accuracy"],
        "baseline": 1 - tfidf_accuracy(train.texts, train.labels or [], test.texts, test.labels or []),
        "seconds": sum(model.seconds_.values()),
    }
    place.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return result


def main() -> None:
    """All seeds, then the mean."""
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    results = [measured(options, seed) for seed in range(options.seeds)]
    print("\n| seed | test error, % | TF-IDF, % | minutes |\n|---|---|---|---|")
    for seed, row in enumerate(results):
        print(f"| {seed} | {100 * row['error']:.2f} | {100 * row['baseline']:.2f} | {row['seconds'] / 60:.1f} |")
    errors = 100 * np.array([row["error"] for row in results])
    print(f"| mean | {errors.mean():.2f} ± {errors.std(ddof=int(len(errors) > 1)):.2f} | | |")


if __name__ == "__main__":
    run_or_explain("small_tasks", main)
