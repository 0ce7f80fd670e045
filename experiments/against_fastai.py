"""The reference notebook's stages in this package and in fastai, side by side on the same real sample.

    make oracle
    python experiments/against_fastai.py --data-dir DATA --out RESULTS        # 600 + 600 IMDb reviews, 3 seeds

Both start from the same weights (the shipped model, and the same head), read the same token arrays in the same batches
in the same order, and go through the same stages; what differs is the dropout that each draws for itself. For each seed
(order of the data, head, dropout) the rows of both tables of epochs are kept in RESULTS/*.json, so that an interrupted
run goes on; at the end a table of means with the spread over the seeds, and a plot with bands.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from imdb import balanced_subset
from running import Results, mean_and_spread, run_or_explain
from ulmfit_jax.artifact import Artifact, load_artifact
from ulmfit_jax.data import Corpus, DocumentBatches, LanguageModelStream, TextDataset, corpus_in_memory, read_dataset
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.pretrained import model_folder
from ulmfit_jax.progress import ConsoleProgress
from ulmfit_jax.training.classifier import classifier_definition
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.recipes import gradual_unfreezing_stages, language_model_stages
from ulmfit_jax.training.runs import (
    ClassifierSettings,
    LanguageModelSettings,
    RunContext,
    train_classifier,
    train_language_model,
)

Row = dict[str, Any]
LIBRARIES = ("ulmfit-jax", "fastai")
LABELS = ("neg", "pos")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", required=True, help="folder of prepared TFDS data sets")
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--documents", type=int, default=600, help="to train on, and as many to measure on")
    parser.add_argument("--lm-epochs", type=int, default=3, help="with all layers, after one with the embedding alone")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--drop-mult", type=float, default=0.5, help="of the language model; the classifier has 0.5")
    parser.add_argument("--seeds", type=int, default=3)
    return parser.parse_args()


class Comparison:
    """The same sample, weights and stages for both libraries."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.start = load_artifact(model_folder("wikipedia-small-forward"), "language_model")
        (self.train, self.train_labels), (self.test, self.test_labels) = map(self.sample, ("train", "test"))
        self.lm_stages = language_model_stages(options.lm_epochs)
        self.stages = gradual_unfreezing_stages()

    def sample(self, split: str) -> tuple[Corpus, np.ndarray]:
        """Reviews of a split as tokens, and their classes."""
        data: TextDataset = read_dataset(f"tfds:imdb_reviews:{split}", data_dir=self.options.data_dir)
        data = data.select(balanced_subset(data, self.options.documents, seed=0))
        labels = np.array([LABELS.index(label) for label in data.labels or ()])
        return corpus_in_memory(data.texts, self.start.tokenizer), labels

    def head(self, seed: int) -> Artifact:
        """The untrained classifier of a seed, for both."""
        head = Head(len(LABELS))
        parameters, statistics = classifier_definition(self.start.architecture, head).initialise(seed)
        return Artifact(
            "classifier", self.start.architecture, self.start.tokenizer, parameters, statistics, LABELS, head
        )

    def ours(self, seed: int) -> list[Row]:
        """The rows of this package's table of epochs."""
        options, architecture = self.options, self.start.architecture
        context = RunContext(Devices(1), progress=ConsoleProgress())
        lm_settings = LanguageModelSettings(options.batch_size, drop_mult=options.drop_mult)
        language_model = train_language_model(
            architecture, self.start.parameters, self.train, self.test, self.lm_stages, lm_settings, seed, context
        )
        result = train_classifier(
            architecture,
            Head(len(LABELS)),
            {"encoder": language_model.parameters["encoder"]},
            (self.train, self.train_labels),
            (self.test, self.test_labels),
            self.stages,
            ClassifierSettings(options.batch_size),
            seed,
            context,
        )
        return [*language_model.history, *result.history]

    def fastai(self, seed: int) -> list[Row]:
        """The rows of fastai's."""
        from fastai_pipeline import train_classifier, train_language_model

        size = self.options.batch_size
        stream = LanguageModelStream(self.train, size, shuffle=True, seed=seed)
        state, rows = train_language_model(
            self.start, stream, LanguageModelStream(self.test, size), self.lm_stages, self.options.drop_mult
        )
        train = DocumentBatches(self.train, self.train_labels, size, seed=seed)
        valid = DocumentBatches(self.test, self.test_labels, size)
        return [*rows, *train_classifier(self.head(seed), state, train, valid, self.stages)]

    def rows(self, library: str, seed: int) -> list[Row]:
        """A run's rows, from its file if it has been made."""
        chosen = {name: getattr(self.options, name) for name in ("documents", "lm_epochs", "batch_size", "drop_mult")}
        kept = Results(self.options.out / f"{library}-{seed}.json", chosen)
        if "rows" not in kept:
            print(f"{library}, seed {seed}")
            kept.add({"rows": self.ours(seed) if library == LIBRARIES[0] else self.fastai(seed)})
        return list(kept["rows"])


def table(runs: dict[str, list[list[Row]]]) -> str:
    """A Markdown row for each epoch: mean ± standard deviation over the seeds, for both libraries."""
    lines = ["| stage | epoch | measure | " + " | ".join(LIBRARIES) + " |", "|---|---|---|---|---|"]
    for number, row in enumerate(runs[LIBRARIES[0]][0]):
        for measure in ("train_loss", "valid_loss", "error_rate"):
            if measure in row:
                cells = [mean_and_spread(curve(runs[library], measure)[:, number], 4) for library in LIBRARIES]
                lines.append(f"| {row['stage']} | {row['epoch']} | {measure} | {' | '.join(cells)} |")
    return "\n".join(lines)


def furthest(runs: dict[str, list[list[Row]]]) -> str:
    """Where the two means are furthest apart, in standard errors of their difference."""
    found = []
    for measure in ("train_loss", "valid_loss", "error_rate"):
        ours, theirs = (curve(runs[library], measure) for library in LIBRARIES)
        error = np.sqrt((ours.var(axis=0, ddof=1) + theirs.var(axis=0, ddof=1)) / len(ours))
        apart = np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) / error
        found += [(value, measure, row) for value, row in zip(apart, runs[LIBRARIES[0]][0], strict=True) if value >= 0]
    largest, measure, row = max(found, key=lambda entry: entry[0])
    return (
        f"furthest apart of {len(found)} rows: {measure} of {row['stage']}, epoch {row['epoch']}, "
        f"by {largest:.1f} standard errors"
    )


def curve(runs: list[list[Row]], measure: str) -> np.ndarray:
    """A measure by run and epoch, `[seeds, epochs]`; NaN where a stage has no such measure."""
    return np.array([[row.get(measure, np.nan) for row in rows] for rows in runs])


def plot(runs: dict[str, list[list[Row]]], place: Path) -> None:
    """Validation loss and error by epoch: lines are means, bands the range over the seeds."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    stages = np.array([row["stage"].startswith("lm") for row in runs[LIBRARIES[0]][0]])
    panels = [("valid_loss", stages, "language model"), ("valid_loss", ~stages, "classifier")]
    for axis, (measure, chosen, title) in zip(axes, [*panels, ("error_rate", ~stages, "classifier")], strict=True):
        for library, colour, style in zip(LIBRARIES, ("#0072B2", "#D55E00"), ("-", "--"), strict=True):
            values = curve(runs[library], measure)[:, chosen]
            epochs = np.arange(1, values.shape[1] + 1)
            axis.plot(epochs, values.mean(axis=0), style, color=colour, label=library)
            axis.fill_between(epochs, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.2, linewidth=0)
        axis.set(xlabel="epoch", ylabel=measure.replace("_", " "), title=title, xticks=epochs)
    axes[0].legend()
    figure.savefig(place, dpi=150)


def main() -> None:
    """Run what is missing, then compare."""
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    comparison = Comparison(options)
    runs: dict[str, list[list[Row]]] = {library: [] for library in LIBRARIES}
    for seed in range(options.seeds):
        for library in LIBRARIES:
            runs[library].append(comparison.rows(library, seed))
    print(table(runs))
    if options.seeds > 1:
        print(furthest(runs))
    plot(runs, options.out / "against_fastai.png")


if __name__ == "__main__":
    run_or_explain("against_fastai", main)
