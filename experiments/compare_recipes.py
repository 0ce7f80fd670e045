"""Compare settings on validation data cut from training data: how this project's defaults were chosen.

    python experiments/compare_recipes.py classifier DATA --model DIR --documents 300 --repeats 3 \\
        --variant "drop_mult=0.5" --variant "drop_mult=1.0, label_smoothing=0.1"
    python experiments/compare_recipes.py language-model DATA --model wikipedia-small-forward --documents 4000 \\
        --variant "learning_rate=1e-3" --variant "learning_rate=4e-3"
    python experiments/compare_recipes.py ngrams DATA --documents 1000 --variant "longest=2" --variant "longest=4"

A variant names arguments of `TextClassifier`, `LanguageModel` or `ngrams.fitted_ngrams`. Each repeat draws other
documents, the same ones for all variants; its number is the seed. Prints a Markdown table of means over the repeats. A
classifier takes the encoder of --model as it is, trains on all its documents and is measured on the others; TF-IDF
stands beside it, and with --ngrams the error of the classifier and n-grams together. N-grams are those of the tokens of
--model.
"""

from __future__ import annotations

import argparse
import ast
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from running import mean_and_spread, run_or_explain
from ulmfit_jax import Ensemble, LanguageModel, TextClassifier
from ulmfit_jax.artifact import load_artifact
from ulmfit_jax.baseline import tfidf_accuracy
from ulmfit_jax.data import TextDataset, corpus_in_memory, read_dataset
from ulmfit_jax.data.labels import check_labels, label_indices
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.ngrams import fitted_ngrams
from ulmfit_jax.pretrained import model_folder

Measures = dict[str, float]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=MEASURES)
    add_drawing(parser)
    parser.add_argument(
        "--model", default="wikipedia-small-forward", help="language model that every variant starts from"
    )
    parser.add_argument(
        "--variant", action="append", required=True, help='such as "drop_mult=1.0, epochs=(1, 1, 1, 2)"'
    )
    parser.add_argument("--ngrams", action="store_true", help="measure each classifier with n-grams beside it too")
    parser.add_argument("--verbose", action="store_true", help="show the tables of epochs")
    return parser.parse_args()


def add_drawing(parser: argparse.ArgumentParser) -> None:
    """The arguments that `drawn_from` reads."""
    parser.add_argument("data", help="as in `ulmfit train`; give training data, never a test set")
    parser.add_argument("--data-dir", help="folder of prepared TFDS data sets")
    parser.add_argument("--documents", type=int, required=True, help="to train on")
    parser.add_argument("--valid-documents", type=int, default=1000, help="to measure on")
    parser.add_argument("--most-characters", type=int, help="draw from documents no longer than this, to save time")
    parser.add_argument("--repeats", type=int, default=1)


def settings(variant: str) -> dict[str, Any]:
    """The keyword arguments that a variant names; 'defaults' names none.

    Raises:
        ConfigError: it is not of the form "name=value, name=value".
    """
    if variant == "defaults":
        return {}
    try:
        call = ast.parse(f"f({variant})", mode="eval").body
        if isinstance(call, ast.Call) and not call.args:
            return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
        raise ValueError
    except (SyntaxError, ValueError):
        raise ConfigError(f'{variant!r} is not of the form "name=value, name=value"') from None


def measure_classifier(
    options: argparse.Namespace, chosen: dict[str, Any], data: tuple[TextDataset, TextDataset], seed: int
) -> Measures:
    """Train one classifier and measure it."""
    train, valid = data
    fixed = {"lm_epochs": 0, "validation_fraction": 0.0, "seed": seed, "verbose": options.verbose}
    model = TextClassifier(options.model, **{**fixed, **chosen})
    model.fit(train.texts, train.labels or [])
    model.predict_precision = model.precision or model.predict_precision
    result = model.evaluate(valid.texts, valid.labels or [])
    together: Measures = {}
    if options.ngrams:
        joint = Ensemble([model]).learn_ngrams(train.texts, train.labels or [])
        together = {"error with n-grams, %": 100 * joint.evaluate(valid.texts, valid.labels or [])["error"]}
    return {
        "error, %": 100 * result["error"],
        **together,
        "loss": result["loss"],
        "training loss": model.history_[-1]["train_loss"],
    }


def measure_language_model(
    options: argparse.Namespace, chosen: dict[str, Any], data: tuple[TextDataset, TextDataset], seed: int
) -> Measures:
    """Fine-tune one language model and measure it."""
    train, valid = data
    model = LanguageModel(options.model, **{"seed": seed, "verbose": options.verbose, **chosen})
    model.fit(train.texts, valid.texts)
    return {"perplexity per token": model.history[-1]["perplexity"], "training loss": model.history[-1]["train_loss"]}


def measure_ngrams(
    options: argparse.Namespace, chosen: dict[str, Any], data: tuple[TextDataset, TextDataset], seed: int
) -> Measures:
    """Fit one model of n-grams and measure it."""
    train, valid = data
    classes, tokenizer = check_labels(train), load_artifact(model_folder(options.model)).tokenizer
    documents, others = (list(corpus_in_memory(each.texts, tokenizer)) for each in data)
    model = fitted_ngrams(documents, label_indices(train, classes), len(classes), **chosen)
    wrong = model.log_probabilities(others).argmax(axis=1) != label_indices(valid, classes)
    return {"error, %": 100 * float(wrong.mean()), "features": len(model.ngrams)}


MEASURES: dict[str, Callable[..., Measures]] = {
    "classifier": measure_classifier,
    "language-model": measure_language_model,
    "ngrams": measure_ngrams,
}


def drawn_from(options: argparse.Namespace) -> tuple[TextDataset, list[np.ndarray]]:
    """The documents that there are, and for each repeat an order of theirs: those to train on, those to measure on, the
    others."""
    data = read_dataset(options.data, data_dir=options.data_dir, require_labels=options.task != "language-model")
    if options.most_characters is not None:
        data = data.select([i for i, text in enumerate(data.texts) if len(text) <= options.most_characters])
    needed = options.documents + options.valid_documents
    if needed > len(data):
        raise ConfigError(f"{options.data} has {len(data):,} such documents, {needed:,} are asked for")
    return data, [np.random.default_rng(seed).permutation(len(data)) for seed in range(options.repeats)]


def draws(options: argparse.Namespace) -> list[tuple[TextDataset, TextDataset]]:
    """Training and validation documents of each repeat. A document whose label none of those to train on has is not
    measured on."""
    data, orders = drawn_from(options)
    return [train_and_valid(options, data, order) for order in orders]


def train_and_valid(
    options: argparse.Namespace, data: TextDataset, order: np.ndarray
) -> tuple[TextDataset, TextDataset]:
    """Those of one repeat, by its order."""
    train = data.select(order[: options.documents])
    valid = data.select(order[options.documents : options.documents + options.valid_documents])
    if options.task == "language-model":
        return train, valid
    return train, of_known_labels(valid, set(train.labels or []))


def of_known_labels(data: TextDataset, known: set[Any]) -> TextDataset:
    """The documents that have a label of these."""
    return data.select([i for i, label in enumerate(data.labels or []) if label in known])


def main() -> None:
    """Measure every variant on every draw, print the table."""
    options = arguments()
    variants = [(text, settings(text)) for text in options.variant]
    data = draws(options)
    if options.task != "language-model":
        errors = [
            100 - 100 * tfidf_accuracy(train.texts, train.labels or [], valid.texts, valid.labels or [])
            for train, valid in data
        ]
        print(f"TF-IDF + logistic regression: error {np.mean(errors):.2f} %")
    compare(options, MEASURES[options.task], variants, data)


def compare(
    options: argparse.Namespace,
    measure: Callable[..., Measures],
    variants: list[tuple[str, dict[str, Any]]],
    data: Sequence[tuple[Any, ...]],
) -> None:
    """A row for each variant, printed as soon as it is measured."""
    for number, (text, chosen) in enumerate(variants):
        started = time.monotonic()
        found = [measure(options, chosen, draw, seed) for seed, draw in enumerate(data)]
        seconds = (time.monotonic() - started) / len(data)
        if number == 0:
            print("| variant | " + " | ".join(found[0]) + " | seconds |\n|---" + "|---" * (len(found[0]) + 1) + "|")
        cells = [mean_and_spread([row[name] for row in found], 3) for name in found[0]]
        print(f"| {text} | " + " | ".join(cells) + f" | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    run_or_explain("compare_recipes", main)
