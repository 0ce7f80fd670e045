"""`ulmfit evaluate`: accuracy of a trained classifier on labelled texts."""

from __future__ import annotations

import argparse

from ulmfit_jax.cli.arguments import (
    add_device_options,
    add_json,
    add_reading_options,
    add_trained_model,
    reading_options,
)
from ulmfit_jax.cli.console import show, show_json

SUMMARY = "measure a trained classifier on labelled texts"

DESCRIPTION = """\
Print the accuracy of a trained classifier on labelled texts, the error (1 - accuracy), the loss (mean cross-entropy in
nats) and the number of texts. A label that the classifier does not know is an error.
"""

EXAMPLES = """\
examples:
  ulmfit evaluate run test.csv
  ulmfit evaluate run tfds:imdb_reviews:test --data-dir tfds --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ulmfit evaluate`."""
    add_trained_model(parser)
    parser.add_argument("data", metavar="DATA", help="labelled texts; see ulmfit --help")
    add_json(parser)
    add_device_options(parser)
    add_reading_options(parser, labels=True)


def run(options: argparse.Namespace) -> None:
    """Load, read, measure, print."""
    from ulmfit_jax.data import check_labels, read_dataset
    from ulmfit_jax.ensemble import load_classifier

    model = load_classifier(options.model, devices=options.devices)
    data = read_dataset(options.data, label_column=options.label_column, **reading_options(options))
    check_labels(data, model.class_names)
    figures = model.evaluate(data.texts, data.labels or ())
    if options.json:
        show_json({**figures, "model": options.model, "data": options.data})
    else:
        show(
            f"accuracy {figures['accuracy']:.2%}   error {figures['error']:.2%}   loss {figures['loss']:.4f}   "
            f"{figures['n']:,} texts"
        )
