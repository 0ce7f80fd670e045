"""Two tasks that are not IMDb: short questions in six classes, and a language without a shipped model.

    python experiments/small_tasks.py trec --data-dir DATA --out RESULTS --both-directions
    python experiments/small_tasks.py german --data-dir DATA --out RESULTS --both-directions

`trec` starts from the shipped English models, fine-tuned on the training questions. `german` starts from nothing: its
tokenisers and language models learn from the training reviews alone. Each seed decides everything that is drawn. The
test set is read once by each network: from its answers come the error of the forward network, with --both-directions
those of the backward one and of their mean, and of this with n-grams beside it. Results are kept in
RESULTS/TASK-SEED.json, so that an interrupted run goes on; at the end mean and standard deviation over the seeds,
beside TF-IDF on the same split.

DATA holds `trec6` and `cls-de-books`, each with `train.jsonl` and `test.jsonl`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from running import Results, error_rate, mean_and_spread, run_or_explain
from ulmfit_jax import Ensemble, LanguageModel, TextClassifier
from ulmfit_jax.baseline import tfidf_accuracy
from ulmfit_jax.classifier_options import RECIPES
from ulmfit_jax.data import TextDataset, read_dataset
from ulmfit_jax.data.labels import label_indices
from ulmfit_jax.nn.products import PRECISIONS
from ulmfit_jax.pretrained import SHIPPED_PAIR

FOLDERS = {"trec": "trec6", "german": "cls-de-books"}
COLUMNS = ("TF-IDF", "forward", "backward", "mean of both", "with n-grams")
"""What is measured, in the order of the table; errors but for the minutes after them."""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=FOLDERS)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--both-directions", action="store_true", help="a backward network too, and the mean of both")
    parser.add_argument("--recipe", choices=RECIPES, default=RECIPES[0], help="of the classifiers")
    parser.add_argument("--adversarial", type=float, default=0.0, help="reach of their adversarial examples; 0: none")
    parser.add_argument("--lm-epochs", type=int, help="of the language models; default: by the amount of text")
    parser.add_argument("--precision", choices=PRECISIONS, help="of matrix products")
    return parser.parse_args()


def measured(options: argparse.Namespace, seed: int) -> dict[str, float]:
    """Train and test once, or read what an earlier call has measured."""
    names = ("both_directions", "recipe", "adversarial", "lm_epochs", "precision")
    results = Results(options.out / f"{options.task}-{seed}.json", {name: getattr(options, name) for name in names})
    if not results:
        folder = options.data_dir / FOLDERS[options.task]
        train, test = (read_dataset(folder / f"{split}.jsonl") for split in ("train", "test"))
        results.add(errors(options, seed, train, test))
    return results


def errors(options: argparse.Namespace, seed: int, train: TextDataset, test: TextDataset) -> dict[str, float]:
    """Test errors in percent by the names of the columns, and the minutes of training."""
    labels = train.labels or []
    members, minutes = [], 0.0
    for direction in ("forward", "backward")[: 1 + options.both_directions]:
        member, spent = trained(options, seed, train, direction)
        members.append(member)
        minutes += spent
    truth = label_indices(test, members[0].class_names)
    each = [member.predict_proba(test.texts).astype(np.float64) for member in members]

    def error(scores: np.ndarray) -> float:
        return 100 * error_rate(scores, truth)

    mean = np.mean(each, axis=0)
    joint = Ensemble(members).learn_ngrams(train.texts, labels)
    together = joint.with_ngrams(np.log(np.maximum(mean, 1e-30)), test.texts)
    found = {"TF-IDF": 100 - 100 * tfidf_accuracy(train.texts, labels, test.texts, test.labels or [])}
    found |= dict(zip(("forward", "backward"), map(error, each), strict=False))
    if options.both_directions:
        found["mean of both"] = error(mean)
    return {**found, "with n-grams": error(together), "minutes": minutes}


def trained(options: argparse.Namespace, seed: int, train: TextDataset, direction: str) -> tuple[TextClassifier, float]:
    """A classifier that reads in a direction, and the minutes that it and its language model took."""
    backwards, folder = direction == "backward", options.out / f"{options.task}-{seed}-{direction}"
    print(f"\nSeed {seed}, {direction}", flush=True)
    model = LanguageModel(
        None if options.task == "german" else SHIPPED_PAIR[backwards],
        backwards=backwards and options.task == "german",
        epochs=options.lm_epochs,
        precision=options.precision,
        seed=seed,
        verbose=True,
    )
    model.fit(train.texts, run_dir=folder / "language_model", workers=2)
    classifier = TextClassifier(
        model,
        lm_epochs=0,
        recipe=options.recipe,
        adversarial=options.adversarial,
        cache_frozen=True,
        validation_fraction=0,
        precision=options.precision,
        seed=seed,
        verbose=True,
    )
    classifier.fit(train.texts, train.labels or [], run_dir=folder / "classifier", workers=2)
    classifier.predict_precision = options.precision or classifier.predict_precision
    return classifier, sum(row["seconds"] for row in [*model.history, *classifier.history_]) / 60


def table(results: list[dict[str, float]]) -> str:
    """A row for each seed, then mean and standard deviation."""
    names = [name for name in (*COLUMNS, "minutes") if name in results[0]]
    lines = ["| seed | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for seed, row in enumerate(results):
        lines.append(f"| {seed} | " + " | ".join(f"{row[name]:.2f}" for name in names) + " |")
    cells = [mean_and_spread([row[name] for row in results], 2) for name in names]
    return "\n".join([*lines, "| mean | " + " | ".join(cells) + " |"])


def main() -> None:
    """All seeds, then the mean."""
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    print("\nTest errors in %\n\n" + table([measured(options, seed) for seed in range(options.seeds)]))


if __name__ == "__main__":
    run_or_explain("small_tasks", main)
