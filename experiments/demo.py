"""The main job on what the repository ships: `make demo`.

Fine-tunes the shipped English language model on short reviews of everyday things (experiments/data/everyday_reviews:
300 labelled, 120 to test on, 423 without labels), transfers it to a classifier by gradual unfreezing, shows what comes
out, and keeps the classifier for `ulmfit predict`.

    python experiments/demo.py            # minutes on 2 CPU cores
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from running import run_or_explain
from ulmfit_jax import LanguageModel, TextClassifier
from ulmfit_jax.artifact.place import check_place
from ulmfit_jax.baseline import tfidf_accuracy
from ulmfit_jax.data import TextDataset, read_dataset, show_documents

DATA = Path(__file__).parent / "data" / "everyday_reviews"
PROMPTS = ("The coffee", "I would not", "My new umbrella")


def main() -> None:
    """Load, show, train, test, predict, generate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pretrained", default="wikipedia-small-forward", help="shipped model, model folder or 'none'")
    parser.add_argument("--preset", help="sizes to start from scratch with, when --pretrained is none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--out", default="runs/demo", help="of the classifier (default: %(default)s; a model there is replaced)"
    )
    options = parser.parse_args()
    check_place(Path(options.out))
    started = time.monotonic()
    train, test = read_dataset(str(DATA / "train.csv")), read_dataset(str(DATA / "test.csv"))
    unlabeled = read_dataset(str(DATA / "unlabeled.txt"), require_labels=False)
    print(f"{len(train)} labelled reviews, {len(unlabeled)} unlabelled, {len(test)} to test on")

    pretrained = None if options.pretrained == "none" else options.pretrained
    language_model = LanguageModel(pretrained, options.preset, seed=options.seed, verbose=True)
    language_model.fit([*train.texts, *unlabeled.texts])
    print("\nWhat the model reads:\n" + show_documents(train, None, language_model.tokenizer, rows=3))
    print("\nWhat the fine-tuned language model writes:")
    for number, prompt in enumerate(PROMPTS):
        print(f"  {language_model.generate(prompt, n_words=24, temperature=0.6, seed=options.seed + number)}")

    classifier = TextClassifier(language_model, lm_epochs=0, seed=options.seed, verbose=True)
    classifier.fit(train.texts, train.labels or [])
    report(classifier, train, test)
    classifier.save(options.out)
    print(f"\n{time.monotonic() - started:.0f} seconds in all. The classifier is kept; with ulmfit on the path:")
    print(f'  ulmfit predict {options.out} --text "What a lovely surprise."')
    print("With a table of your own: docs/how-to/own-csv.md")


def report(classifier: TextClassifier, train: TextDataset, test: TextDataset) -> None:
    """Test error beside the baseline's, and some of the predictions."""
    result = classifier.evaluate(test.texts, test.labels or [])
    baseline = tfidf_accuracy(train.texts, train.labels or [], test.texts, test.labels or [])
    print(f"\nTest error, {result['n']} reviews: ULMFiT {result['error']:.1%}", end="")
    print(f", TF-IDF + logistic regression on the same reviews {1 - baseline:.1%}")
    shown = test.select(range(0, len(test), len(test) // 5))
    for text, truth, row in zip(shown.texts, shown.labels or [], classifier.predict_proba(shown.texts), strict=True):
        label = classifier.classes_[row.argmax()]
        print(f"  {label} ({row.max():.0%}; truth: {truth}): {text[:100]}…")


if __name__ == "__main__":
    run_or_explain("demo", main)
