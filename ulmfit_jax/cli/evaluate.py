"""`ulmfit evaluate`: accuracy of a trained classifier on labelled texts."""

from __future__ import annotations

import argparse

from ulmfit_jax.cli.console import note, show, show_json
from ulmfit_jax.cli.labelled_texts import add_arguments, model_and_texts, were_trained_on
from ulmfit_jax.cli.results import classes_as_text
from ulmfit_jax.counted import counted

__all__ = ["DESCRIPTION", "EXAMPLES", "SUMMARY", "add_arguments", "run"]

SUMMARY = "measure a trained classifier on labelled texts"

DESCRIPTION = """\
Print the accuracy of a trained classifier on labelled texts, the error (1 - accuracy), the loss (mean cross-entropy in
nats), the expected calibration error (how far its probabilities are from how often it is right) and the number of
texts; precision, recall and F1 of each label, and the mean of the last (macro F1). A label that the classifier does not
know is an error.

Where a text may have several labels, the accuracy is the share of texts whose labels are all right, and F1 over all
labels together (micro) stands besides.
"""

EXAMPLES = """\
examples:
  ulmfit evaluate run test.csv
  ulmfit evaluate run tfds:imdb_reviews:test --data-dir tfds --json
  ulmfit evaluate run letters.csv --label-column topics --label-separator ';'     if not as in training
"""


def run(options: argparse.Namespace) -> None:
    """Load, read, measure, print."""
    model, data = model_and_texts(options)
    if were_trained_on(model, data):
        note(f"{data.source} holds the very texts that the model was trained on: on others it is less often right")
    figures = model.evaluate(data.texts, data.targets or ())
    if options.json:
        show_json({**figures, "model": options.model, "data": options.data})
    else:
        show(
            f"accuracy {figures['accuracy']:.2%}   error {figures['error']:.2%}   loss {figures['loss']:.4f}   "
            f"calibration error {figures['ece']:.2%}   "
            f"{counted(figures['n'], 'text')}"
        )
        show(classes_as_text(figures))
