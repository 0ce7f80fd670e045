"""How much n-grams that have learnt by co-training should weigh beside the network: how the default was chosen.

    python experiments/voice_shares.py --data-dir DATA --language-model RUN/models/language_model

Reads training reviews of IMDb alone. Half of them are measured on, subsets of the other half are learnt from. The
network is a linear probe on the language model, so that it reads each review once for all subsets. The table has error
in % and loss, means over the draws, of the mean of both probabilities, by the network's share in it.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from imdb import balanced_subset
from low_shot import Probe
from running import error_rate, run_or_explain
from ulmfit_jax import Ensemble
from ulmfit_jax.data import corpus_in_memory, read_dataset
from ulmfit_jax.data.labels import label_indices
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.products import PRECISIONS

SHARES = (0.0, 0.15, 0.25, 0.33, 0.5)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", required=True, help="folder of prepared TFDS data sets")
    parser.add_argument("--language-model", type=Path, required=True, help="folder of one that has read the reviews")
    parser.add_argument("--documents", type=int, default=5000, help="training reviews, half of them to measure on")
    parser.add_argument("--unlabeled", type=int, default=10_000, help="reviews without labels for co-training")
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 50, 100, 200, 500])
    parser.add_argument("--draws", type=int, default=2, help="subsets of each size; the draw's number is the seed")
    parser.add_argument("--precision", choices=PRECISIONS, help="of matrix products")
    return parser.parse_args()


def main() -> None:
    """Every size and draw, a row of the table for each size."""
    options = arguments()
    data = read_dataset("tfds:imdb_reviews:train", data_dir=options.data_dir)
    if not 2 * max(options.sizes) <= options.documents <= len(data):
        raise ConfigError(f"--documents is {options.documents}: twice the largest of --sizes, at most {len(data)}")
    order = np.random.default_rng(0).permutation(len(data))[: options.documents]
    train, valid = (data.select(half) for half in np.split(order, [options.documents // 2]))
    more = read_dataset("tfds:imdb_reviews:unsupervised", data_dir=options.data_dir, require_labels=False)
    unlabeled = more.select(np.random.default_rng(0).permutation(len(more))[: options.unlabeled]).texts
    vectors: dict[str, np.ndarray] = {}
    print("| labels | " + " | ".join(f"{share:.0%}" for share in SHARES) + " |\n|---" + "|---" * len(SHARES) + "|")
    for size in options.sizes:
        found = []
        for draw in range(options.draws):
            subset = train.select(balanced_subset(train, size, seed=draw))
            model = Probe(
                options.language_model,
                lm_epochs=0,
                recipe="linear_probe",
                validation_fraction=0,
                precision=options.precision,
                seed=draw,
            )
            model.vectors = vectors
            model.fit(subset.texts, subset.labels or [])
            model.predict_precision = options.precision or model.predict_precision
            joint = Ensemble([model]).learn_ngrams(subset.texts, subset.labels or [], unlabeled=unlabeled)
            found.append(measured(joint, valid.texts, label_indices(valid, model.class_names)))
        errors, losses = np.mean(found, axis=0).T
        cells = [f"{100 * error:.1f}, {loss:.3f}" for error, loss in zip(errors, losses, strict=True)]
        print(f"| {size:,} | " + " | ".join(cells) + " |", flush=True)


def measured(joint: Ensemble, texts: list[str], truth: np.ndarray) -> list[tuple[float, float]]:
    """Error and loss of the ensemble with each of `SHARES`."""
    assert joint.ngrams is not None
    voice, (model,) = joint.ngrams, joint.members
    of_network, documents = model.log_probabilities(texts), list(corpus_in_memory(texts, model.artifact.tokenizer))
    rows = []
    for share in SHARES:
        scores = replace(voice, networks_share=share).log_probabilities(of_network, documents)
        rows.append((error_rate(scores, truth), float(-scores[np.arange(len(truth)), truth].mean())))
    return rows


if __name__ == "__main__":
    run_or_explain("voice_shares", main)
