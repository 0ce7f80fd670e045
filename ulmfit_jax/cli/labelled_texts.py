"""Labelled texts on the command line: the arguments of commands that hold a trained classifier against some, what these
name, and a remark on labels that look like several."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ulmfit_jax.cli.arguments import (
    add_device_options,
    add_json,
    add_reading_options,
    add_trained_model,
    as_the_model,
    labelled_reading_options,
)
from ulmfit_jax.cli.console import note

_SEPARATOR = ";"

if TYPE_CHECKING:
    from ulmfit_jax.data import TextDataset
    from ulmfit_jax.ensemble import Ensemble
    from ulmfit_jax.text_classifier import TextClassifier


def add_arguments(parser: argparse.ArgumentParser, needed: bool = True) -> None:
    """The arguments of such a command; whether DATA is `needed` in any case."""
    add_trained_model(parser)
    nargs = None if needed else "?"
    parser.add_argument("data", metavar="DATA", nargs=nargs, help="labelled texts; see ulmfit --help")
    add_json(parser)
    add_device_options(parser)
    add_reading_options(parser, labels=True, of_model=True)


def model_and_texts(options: argparse.Namespace) -> tuple[TextClassifier | Ensemble, TextDataset]:
    """The classifier and the texts, whose labels it knows.

    Raises:
        UlmfitError: one of them cannot be read, or a label is none of the classifier's.
    """
    from ulmfit_jax.answers import check_kind
    from ulmfit_jax.data import check_labels, read_dataset
    from ulmfit_jax.ensemble import load_classifier

    model = load_classifier(options.model, devices=options.devices)
    data = read_dataset(options.data, **labelled_reading_options(as_the_model(options)))
    check_kind(data, model.multi_label)
    check_labels(data, model.class_names)
    return model, data


def remark_on_separator(data: TextDataset) -> None:
    """Say so where one label a text was read, but a semicolon in some lets suspect that several are meant."""
    count = sum(_SEPARATOR in label for label in data.labels or ())
    if count:
        has = "text has a label" if count == 1 else "texts have labels"
        note(
            f"{count:,} {has} with {_SEPARATOR!r}, taken as it stands for one class: if several labels a "
            f"text are meant, give --label-separator {_SEPARATOR!r}"
        )
