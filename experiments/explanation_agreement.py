"""How far the two explanations of an answer agree: gradient times embedding, and leaving words out.

    python experiments/explanation_agreement.py --data-dir DATA

DATA is the folder of the prepared `imdb_reviews`. A classifier is trained on 800 reviews (the head alone, on vectors of
the shipped language model), then 30 test reviews of 40 to 120 words are explained both ways for the answer given. Shown
are, as medians over the reviews with the quartiles: Spearman's rank correlation over all words; how many of the five
words that leaving out finds the most important, either way, are among the gradient's five; how often the two have the
same sign among those five; and what share of the answer's lead is lost without the five words of each method, beside
five random words, which says which of them finds words that matter.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np
from scipy.stats import spearmanr

from running import run_or_explain
from ulmfit_jax import TextClassifier
from ulmfit_jax.data import read_dataset
from ulmfit_jax.inference.explain import Explanation
from ulmfit_jax.text.grouping import word_groups

TOP = 5


def lead(model: TextClassifier, ids: np.ndarray, label: str) -> float:
    """Log odds of a label for a document of these tokens."""
    from ulmfit_jax.data import Corpus
    from ulmfit_jax.inference.predict import Predictor
    from ulmfit_jax.training.mapping import Devices

    predictor = model._compiled.setdefault("predictor", Predictor(model.artifact, Devices(1)))
    row = predictor.log_probabilities(Corpus.from_arrays([ids]))[0].astype(np.float64)
    place = model.class_names.index(label)
    return float(row[place] - np.logaddexp.reduce(np.delete(row, place)))


def without(model: TextClassifier, text: str, words: Sequence[int]) -> np.ndarray:
    """The tokens of a text without some of its words."""
    tokenizer = model.artifact.tokenizer
    ids = tokenizer.encode(text)
    positions = [positions for _, positions in word_groups(tokenizer, ids)]
    return np.delete(ids, [place for word in words for place in positions[word]])


def compared(model: TextClassifier, text: str, generator: np.random.Generator) -> dict[str, float]:
    """The figures of one text."""
    label = str(model.predict(text))
    found: dict[str, Explanation] = {name: model.explain(text, label, name) for name in ("gradient", "leave_out")}
    gradient, left_out = (found[name].importances for name in ("gradient", "leave_out"))
    top = {name: np.argsort(-np.abs(found[name].importances))[:TOP] for name in found}
    whole = lead(model, model.artifact.tokenizer.encode(text), label)
    figures = {
        "rank correlation": float(spearmanr(gradient, left_out).statistic),
        f"shared of the top {TOP}": float(len(set(top["gradient"].tolist()) & set(top["leave_out"].tolist()))),
        f"same sign in the top {TOP}": float((np.sign(gradient) == np.sign(left_out))[top["leave_out"]].mean()),
    }
    chosen = {
        "gradient": np.argsort(-gradient)[:TOP],
        "leave_out": np.argsort(-left_out)[:TOP],
        "random": generator.permutation(len(gradient))[:TOP],
    }
    for name, words in chosen.items():
        lost = whole - lead(model, without(model, text, words.tolist()), label)
        figures[f"lead lost without {TOP} words: {name}"] = lost / whole
    return figures


def main() -> None:
    """Train, explain, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", required=True, help="folder of the prepared imdb_reviews")
    parser.add_argument("--labelled", type=int, default=800)
    parser.add_argument("--texts", type=int, default=30)
    options = parser.parse_args()
    started = time.monotonic()
    # imdb_reviews is prepared in random order.
    train = read_dataset(f"tfds:imdb_reviews:train[:{options.labelled}]", data_dir=options.data_dir)
    test = read_dataset("tfds:imdb_reviews:test[:2000]", data_dir=options.data_dir)
    short = [(text, label) for text, label in zip(test.texts, test.labels or (), strict=True)
             if 40 <= len(text.split()) <= 120][: options.texts]  # fmt: skip
    model = TextClassifier(lm_epochs=0, epochs=(12, 0, 0, 0), cache_frozen=True, devices=1, verbose=True)
    model.fit(train.texts, train.labels or ())
    right = model.score([text for text, _ in short], [label for _, label in short])
    generator = np.random.default_rng(0)
    rows = [compared(model, text, generator) for text, _ in short]
    print(f"\n{len(rows)} reviews, {right:.0%} answered right; {time.monotonic() - started:.0f} s")
    for name in rows[0]:
        low, median, high = np.quantile([row[name] for row in rows], [0.25, 0.5, 0.75])
        print(f"{name:<42}{median:>8.2f}   ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    run_or_explain("explanation_agreement", main)
