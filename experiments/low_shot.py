"""How few labels are enough: balanced subsets of IMDb's training reviews, several draws of each size.

    python experiments/imdb.py --data-dir DATA --out RUN --train-docs 2500 --epochs 1      # makes the language model
    python experiments/low_shot.py --data-dir DATA --out RESULTS --language-model RUN/models/language_model

Four ways to use n labels: TF-IDF with logistic regression; a classifier on the encoder of the shipped language model
that reads in the same direction (supervised: nothing but the n reviews); one on the encoder of the language model that
has read reviews without their labels (semi-supervised); the same with n-grams beside it. With --co-training, another:
beside n-grams that have learnt from so many more reviews too, which the third and n-grams have labelled. With
--self-training, two more: the third goes on learning from so many more reviews, labelled in the same way; and n-grams
beside what it has become, with --co-training those that have learnt from more reviews.

With two language models, a forward and a backward one, a classifier of each answers in all ways but the first, and
what is measured is the mean of the two.

With --recipe linear_probe the encoder of each language model reads the test and unlabelled reviews once for all cells.

Each cell is measured on the same test reviews and kept in RESULTS/cells.json, so that an interrupted run goes on. At
the end a table of mean and standard deviation over the draws, and a plot (`pip install '.[plots]'`).
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from imdb import balanced_subset
from running import Results, error_rate, mean_and_spread, run_or_explain
from ulmfit_jax import Ensemble, TextClassifier
from ulmfit_jax.artifact import load_artifact
from ulmfit_jax.baseline import tfidf_accuracy
from ulmfit_jax.classifier_options import RECIPES
from ulmfit_jax.data import TextDataset, read_dataset
from ulmfit_jax.data.labels import label_indices
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.batch_norm import BATCH_NORM_EPSILON
from ulmfit_jax.nn.products import PRECISIONS
from ulmfit_jax.pretrained import SHIPPED_PAIR
from ulmfit_jax.self_training import drawn_rounds

SELF_TRAINED = "self-trained"
BESIDE_SELF_TRAINED = "self-trained with n-grams"
CO_TRAINED = "with co-trained n-grams"
COLOURS = {
    "TF-IDF": "#999999",
    "supervised": "#0072B2",
    "semi-supervised": "#D55E00",
    "with n-grams": "#CC79A7",
    CO_TRAINED: "#56B4E9",
    SELF_TRAINED: "#009E73",
    BESIDE_SELF_TRAINED: "#E69F00",
}
RUNS = "runs"
"""Folder of training states in that of the results; it is removed when all networks of a subset are measured."""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", required=True, help="folder of prepared TFDS data sets")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument(
        "--language-model",
        type=Path,
        nargs="+",
        required=True,
        help="folder of one that has read the reviews, or of a forward and a backward one",
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 50, 100, 200, 500, 1000, 2000])
    parser.add_argument("--draws", type=int, default=3, help="subsets of each size; the draw's number is the seed")
    parser.add_argument("--test-docs", type=int, default=25_000)
    parser.add_argument("--self-training", type=int, default=0, help="unlabelled reviews to label; 0: none")
    parser.add_argument("--co-training", type=int, default=0, help="unlabelled reviews for the n-grams; 0: none")
    parser.add_argument("--without", choices=("supervised",), nargs="*", default=[], help="ways to leave out")
    parser.add_argument("--recipe", choices=RECIPES, default=RECIPES[0], help="of the classifiers")
    parser.add_argument("--drop-mult", type=float, default=0.5, help="scales their dropouts")
    parser.add_argument("--adversarial", type=float, default=0.0, help="reach of their adversarial examples; 0: none")
    parser.add_argument("--precision", choices=PRECISIONS, help="of matrix products")
    return parser.parse_args()


class Probe(TextClassifier):
    """A linear probe that remembers the vectors of texts, which other probes on the same encoder share."""

    vectors: dict[str, np.ndarray]

    def log_probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Those of `TextClassifier`, to float tolerance."""
        new = list(dict.fromkeys(text for text in texts if text not in self.vectors))
        self.vectors |= dict(zip(new, self.encode(new), strict=True))
        head, seen = self.artifact.parameters["head"], self.artifact.statistics["head"]["norm_0"]
        norm = head["norm_0"]["scale"] / np.sqrt(seen["variance"] + np.float32(BATCH_NORM_EPSILON))
        features = (np.stack([self.vectors[text] for text in texts]) - seen["mean"]) * norm + head["norm_0"]["bias"]
        scores = features @ head["dense_0"]["kernel"]
        return scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)


class LowShot:
    """The cells of the table, errors by `method/size/draw`, measured where they are missing."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        options.out.mkdir(parents=True, exist_ok=True)
        names = ("language_model", "test_docs", "recipe", "drop_mult", "adversarial", "precision", "co_training")
        directions = [load_artifact(each).backwards for each in options.language_model]
        if len(set(directions)) < len(directions):
            raise ConfigError("--language-model takes one, or two that read in different directions")
        measured_with = {name: getattr(options, name) for name in names}
        if len(directions) == 1:  # as in results from before there could be two
            measured_with["language_model"] = options.language_model[0]
        self.cells = Results(options.out / "cells.json", measured_with)
        self.shipped = [SHIPPED_PAIR[backwards] for backwards in directions]
        self.train, test = (self.read(split) for split in ("train", "test"))
        self.test = test.select(balanced_subset(test, options.test_docs, seed=0))
        self.vectors: dict[str | Path, dict[str, np.ndarray]] = {}
        self.unlabeled: list[str] = []
        if options.self_training or options.co_training:
            more = read_dataset("tfds:imdb_reviews:unsupervised", data_dir=options.data_dir, require_labels=False)
            self.unlabeled = sorted(set(more.texts).difference(self.test.texts))

    def read(self, split: str) -> TextDataset:
        """A labelled split of IMDb."""
        return read_dataset(f"tfds:imdb_reviews:{split}", data_dir=self.options.data_dir)

    def methods(self) -> list[str]:
        """Their names, in the order of the table."""
        left_out = {SELF_TRAINED, BESIDE_SELF_TRAINED, *self.options.without}
        if not self.options.co_training:
            left_out.add(CO_TRAINED)
        names = [name for name in COLOURS if name not in left_out]
        return [*names, *self.taught()] if self.options.self_training else names

    def taught(self) -> list[str]:
        """The columns of self-training."""
        return [f"{name}, {self.options.self_training:,} reviews" for name in (SELF_TRAINED, BESIDE_SELF_TRAINED)]

    def run(self) -> None:
        """Measure every cell that is missing."""
        for draw in range(self.options.draws):
            for size in self.options.sizes:
                train = self.train.select(balanced_subset(self.train, size, seed=draw))
                for method in self.methods():
                    name = f"{method}/{size}/{draw}"
                    if name not in self.cells:
                        found = self.measured(method, train, draw)
                        self.cells.add({f"{each}/{size}/{draw}": error for each, error in found.items()})
                        print(
                            f"{size} labels, draw {draw}: " + ", ".join(f"{m} {e:.2%}" for m, e in found.items()),
                            flush=True,
                        )
                shutil.rmtree(self.options.out / RUNS, ignore_errors=True)

    def measured(self, method: str, train: TextDataset, seed: int) -> dict[str, float]:
        """Test error of one method after training on `train`, and of what comes with it, by their names."""
        labels = train.labels or []
        if method == "TF-IDF":
            return {method: 1 - tfidf_accuracy(train.texts, labels, self.test.texts, self.test.labels or [])}
        supervised, taught = method == "supervised", method.startswith(SELF_TRAINED)
        starts = self.shipped if supervised else self.options.language_model
        runs = "supervised" if supervised else "semi-supervised"  # self-training goes on with the latter
        folder = self.options.out / RUNS / f"{runs}-{len(train)}-{seed}"
        joint = Ensemble(
            [self.trained(start, train, taught, seed, folder / str(number)) for number, start in enumerate(starts)]
        )
        of_members = joint.log_probabilities(self.test.texts)
        truth = label_indices(self.test, joint.class_names)
        alone = error_rate(of_members, truth)
        if supervised:
            return {method: alone}

        def beside(unlabeled: Sequence[str]) -> float:
            """Error of the networks with n-grams that have learnt from these reviews too."""
            joint.learn_ngrams(train.texts, labels, unlabeled=unlabeled)
            return error_rate(joint.with_ngrams(of_members, self.test.texts), truth)

        count = self.options.co_training
        more = drawn_rounds(self.unlabeled, (count,), seed)[0] if count else []
        if taught:
            return dict(zip(self.taught(), (alone, beside(more)), strict=True))
        found = {"semi-supervised": alone, "with n-grams": beside([])}
        return {**found, CO_TRAINED: beside(more)} if count else found

    def trained(self, start: str | Path, train: TextDataset, taught: bool, seed: int, folder: Path) -> TextClassifier:
        """A classifier that begins with the language model `start`; `folder` has the state of its training."""
        kind = Probe if self.options.recipe == "linear_probe" else TextClassifier
        model = kind(
            start,
            lm_epochs=0,
            recipe=self.options.recipe,
            drop_mult=self.options.drop_mult,
            adversarial=self.options.adversarial,
            cache_frozen=True,
            validation_fraction=0,
            self_training=self.options.self_training if taught else 0,
            precision=self.options.precision,
            seed=seed,
        )
        if isinstance(model, Probe):
            model.vectors = self.vectors.setdefault(start, {})
        model.fit(train.texts, train.labels or [], self.unlabeled if taught else None, run_dir=folder)
        model.predict_precision = self.options.precision or model.predict_precision
        return model

    def errors(self, method: str, size: int) -> np.ndarray:
        """Errors of a method at a size, by draw."""
        return np.array([self.cells[f"{method}/{size}/{draw}"] for draw in range(self.options.draws)])

    def table(self) -> str:
        """Mean and standard deviation of the error in %, a row for each size."""
        lines = ["| labels | " + " | ".join(self.methods()) + " |", "|---" * (len(self.methods()) + 1) + "|"]
        for size in self.options.sizes:
            cells = [mean_and_spread(100 * self.errors(method, size), 1) for method in self.methods()]
            lines.append(f"| {size:,} | " + " | ".join(cells) + " |")
        return "\n".join(lines)

    def plot(self, place: Path) -> None:
        """Error by number of labels, both on logarithmic axes, with the standard deviation over the draws."""
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot, ticker

        figure, axis = pyplot.subplots(figsize=(6.4, 4.2), layout="constrained")
        for method in self.methods():
            found = np.array([100 * self.errors(method, size) for size in self.options.sizes])
            found = np.maximum(found, 0.1)  # an axis of logarithms has no 0
            axis.errorbar(
                self.options.sizes,
                found.mean(axis=1),
                found.std(axis=1, ddof=int(found.shape[1] > 1)),
                marker="o",
                capsize=3,
                color=COLOURS[method.partition(",")[0]],
                label=method,
            )
        axis.set(xscale="log", yscale="log", xlabel="labelled reviews", ylabel="test error, %")
        for side in (axis.xaxis, axis.yaxis):
            side.set_major_formatter(ticker.FormatStrFormatter("%g"))
            side.set_minor_formatter(ticker.NullFormatter())
        axis.set_xticks(self.options.sizes)
        low, high = axis.get_ylim()
        axis.set_yticks([error for error in (1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 70) if low <= error <= high])
        axis.legend()
        axis.grid(alpha=0.3)
        figure.savefig(place, dpi=150)


def main() -> None:
    """Measure what is missing, then the table and the plot."""
    experiment = LowShot(arguments())
    experiment.run()
    print(experiment.table())
    experiment.plot(experiment.options.out / "low_shot.png")


if __name__ == "__main__":
    run_or_explain("low_shot", main)
