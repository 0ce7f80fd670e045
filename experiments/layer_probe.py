"""Where a language model keeps what a text is about: a linear classifier on the pooled outputs of each layer.

    python experiments/layer_probe.py DATA/trec6/train.jsonl --documents 500 --valid-documents 2000 --repeats 3

Nothing is fine-tuned. Each repeat draws other documents to train and to measure on. The table at the end has the error,
mean and standard deviation over the repeats, of logistic regression on the standardised vectors. Its
L2 penalty is chosen by five-fold cross-validation on the training documents. TF-IDF stands beside it.
"""

from __future__ import annotations

import argparse

import jax.numpy as jnp
import numpy as np

from compare_recipes import add_drawing, draws
from running import mean_and_spread, run_or_explain
from ulmfit_jax import LanguageModel
from ulmfit_jax.baseline import tfidf_accuracy
from ulmfit_jax.data import TextDataset, corpus_in_memory
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.training.document_scores import Reading, vector_pass
from ulmfit_jax.training.mapping import Devices

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
"""Inverse strengths of the L2 penalty to choose from."""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_drawing(parser)
    parser.add_argument("--model", default="wikipedia-small-forward", help="a language model")
    parser.set_defaults(task="classifier")
    return parser.parse_args()


def pooled_parts(model: LanguageModel, texts: list[str]) -> dict[str, np.ndarray]:
    """What a head may read, by name: `[texts, features]` each."""
    sizes, head = model.artifact.architecture, Head(1, pool_layers="all")
    read = vector_pass(sizes, jnp.float32, Devices(1), Reading(backwards=model.artifact.backwards), head)
    vectors = read(model.artifact.parameters, {}, corpus_in_memory(texts, model.tokenizer))
    widths = [*[sizes.embedding_size] * 3, *(inputs for inputs, _ in sizes.layer_sizes())]
    last, maximum, mean, *below = np.split(vectors, np.cumsum(widths)[:-1], axis=1)
    names = ["embedded tokens", *(f"layer {number}" for number in range(1, sizes.n_layers))]
    return {
        "last layer: last output": last,
        "last layer: maximum": maximum,
        "last layer: mean": mean,
        "these three (`pool_layers='last'`)": vectors[:, : sum(widths[:3])],
        **{f"{name}: mean": part for name, part in zip(names, below, strict=True)},
        "all of these (`pool_layers='all'`)": vectors,
    }


def probe_error(vectors: np.ndarray, train: TextDataset, valid: TextDataset) -> float:
    """Error in % of logistic regression on vectors of the training documents, then the others."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    search = GridSearchCV(LogisticRegression(max_iter=1000), {"C": PENALTIES}, cv=5)
    model = make_pipeline(StandardScaler(), search)
    model.fit(vectors[: len(train)], train.labels)
    return 100 - 100 * model.score(vectors[len(train) :], valid.labels)


def main() -> None:
    """Every repeat, then the table."""
    options = arguments()
    model = LanguageModel(options.model)
    errors: dict[str, list[float]] = {}
    for train, valid in draws(options):
        baseline = 100 - 100 * tfidf_accuracy(train.texts, train.labels or [], valid.texts, valid.labels or [])
        errors.setdefault("TF-IDF and logistic regression", []).append(baseline)
        for name, vectors in pooled_parts(model, [*train.texts, *valid.texts]).items():
            errors.setdefault(name, []).append(probe_error(vectors, train, valid))
    print("| vectors | error, % |\n|---|---|")
    for name, found in errors.items():
        print(f"| {name} | {mean_and_spread(found, 1)} |")


if __name__ == "__main__":
    run_or_explain("layer_probe", main)
