"""Weight averaging (Izmailov et al. 2018; Wortsman et al. 2022): one classifier with the mean weights of several.

    python experiments/weight_averaging.py DATA/trec6/train.jsonl --documents 500 --valid-documents 2000 --repeats 3

The head learns alone first, on the encoder of --model as it is. From there all layers are trained --members times, each
time with another order and dropout, for --epochs epochs. The table has the members' mean figures, those of an ensemble
of them, which costs as many passes over each text as there are members, and those of their mean weights (running
statistics of batch normalisation too), which cost one. Each repeat draws other documents.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import jax
import numpy as np

from compare_recipes import add_drawing, draws
from running import mean_and_spread, run_or_explain
from ulmfit_jax import Ensemble, TextClassifier
from ulmfit_jax.answers import Answers
from ulmfit_jax.artifact import save_artifact
from ulmfit_jax.data import TextDataset
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.products import PRECISIONS
from ulmfit_jax.training.recipes import FINE_TUNE_RATE, FINE_TUNE_SPREAD


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_drawing(parser)
    parser.add_argument("--model", default="wikipedia-small-forward", help="language model to start from")
    parser.add_argument("--members", type=int, default=3, help="classifiers whose weights are averaged")
    parser.add_argument("--epochs", type=int, default=4, help="of all layers")
    parser.add_argument("--drop-mult", type=float, default=0.5, help="scales the dropouts")
    parser.add_argument("--precision", choices=PRECISIONS, help="of matrix products; bfloat16 where it is fast")
    parser.set_defaults(task="classifier")
    return parser.parse_args(given)


def trained_members(options: argparse.Namespace, train: TextDataset, seed: int) -> list[TextClassifier]:
    """Classifiers that have a trained head in common and were then trained apart."""
    start = TextClassifier(
        options.model,
        lm_epochs=0,
        epochs=(2, 0, 0, 0),
        learning_rate=FINE_TUNE_RATE,
        cache_frozen=True,
        drop_mult=options.drop_mult,
        validation_fraction=0.0,
        precision=options.precision,
        seed=seed,
    ).fit(train.texts, train.labels or [])
    start.predict_precision = options.precision or start.predict_precision
    members = [copy.deepcopy(start).set_params(seed=options.members * seed + k) for k in range(options.members)]
    for member in members:
        member.learn_from(
            train.texts,
            train.labels or [],
            epochs=options.epochs,
            learning_rate=FINE_TUNE_RATE / 2,
            lr_mult=FINE_TUNE_SPREAD,
        )
    return members


def averaged(members: Sequence[TextClassifier]) -> TextClassifier:
    """A classifier with the mean of the members' parameters and running statistics."""
    first, *_ = artifacts = [member.artifact for member in members]
    parameters, statistics = (
        jax.tree.map(lambda *arrays: np.mean(arrays, axis=0, dtype=np.float64).astype(np.float32), *trees)
        for trees in ([a.parameters for a in artifacts], [a.statistics for a in artifacts])
    )
    with TemporaryDirectory() as folder:
        save_artifact(replace(first, parameters=parameters, statistics=statistics), Path(folder) / "model")
        return TextClassifier.load(Path(folder) / "model", precision=members[0].predict_precision)


def main() -> None:
    """Every repeat, then the table."""
    options = arguments()
    if options.members < 2:
        raise ConfigError("--members has to be 2 or more")
    found: dict[str, list[tuple[float, float]]] = {}
    for seed, (train, valid) in enumerate(draws(options)):
        members = trained_members(options, train, seed)
        judged: dict[str, Sequence[Answers]] = {
            f"each of {options.members}": members,
            "the mean of their probabilities": [Ensemble(members)],
            "one with the mean of their weights": [averaged(members)],
        }
        for name, models in judged.items():
            figures = [model.evaluate(valid.texts, valid.labels or []) for model in models]
            means = np.mean([(100 * each["error"], each["loss"]) for each in figures], axis=0)
            found.setdefault(name, []).append((float(means[0]), float(means[1])))
    print("| | error, % | loss |\n|---|---|---|")
    for name, rows in found.items():
        cells = [mean_and_spread(column, 2) for column in zip(*rows, strict=True)]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    run_or_explain("weight_averaging", main)
