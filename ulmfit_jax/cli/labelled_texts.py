"""Commands that hold a trained classifier against labelled texts: their arguments, and what these name."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ulmfit_jax.cli.arguments import (
    add_device_options,
    add_json,
    add_reading_options,
    add_trained_model,
    labelled_reading_options,
)

if TYPE_CHECKING:
    from ulmfit_jax.data import TextDataset
    from ulmfit_jax.ensemble import Ensemble
    from ulmfit_jax.text_classifier import TextClassifier


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of such a command."""
    add_trained_model(parser)
    parser.add_argument("data", metavar="DATA", help="labelled texts; see ulmfit --help")
    add_json(parser)
    add_device_options(parser)
    add_reading_options(parser, labels=True)


def model_and_texts(options: argparse.Namespace) -> tuple[TextClassifier | Ensemble, TextDataset]:
    """The classifier and the texts, whose labels it knows.

    Raises:
        UlmfitError: one of them cannot be read, or a label is none of the classifier's.
    """
    from ulmfit_jax.answers import check_kind
    from ulmfit_jax.data import check_labels, read_dataset
    from ulmfit_jax.ensemble import load_classifier

    model = load_classifier(options.model, devices=options.devices)
    data = read_dataset(options.data, **labelled_reading_options(options))
    check_kind(data, model.multi_label)
    check_labels(data, model.class_names)
    return model, data
