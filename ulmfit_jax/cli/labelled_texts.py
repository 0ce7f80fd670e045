"""Labelled texts on the command line: the arguments of commands that hold a trained classifier against some, what these
name, and remarks on labels that look like several and on labels with few texts."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ulmfit_jax.cli.arguments import (
    add_device_options,
    add_json,
    add_model,
    add_predict_precision,
    add_reading_options,
    as_the_model,
    labelled_reading_options,
)
from ulmfit_jax.cli.console import note
from ulmfit_jax.cli.results import known_data
from ulmfit_jax.counted import counted, listed

_SEPARATOR = ";"

FEW_TEXTS = 10
"""A label with fewer texts is remarked on."""

if TYPE_CHECKING:
    from ulmfit_jax.data import TextDataset
    from ulmfit_jax.ensemble import Ensemble
    from ulmfit_jax.text_classifier import TextClassifier


def add_arguments(parser: argparse.ArgumentParser, needed: bool = True) -> None:
    """The arguments of such a command; whether DATA is `needed` in any case."""
    add_model(parser)
    nargs = None if needed else "?"
    parser.add_argument("data", metavar="DATA", nargs=nargs, help="labelled texts; see ulmfit --help")
    add_json(parser)
    add_device_options(parser)
    add_predict_precision(parser)
    add_reading_options(parser, labels=True, of_model=True)


def model_and_texts(options: argparse.Namespace) -> tuple[TextClassifier | Ensemble, TextDataset]:
    """The classifier and the texts, whose labels it knows.

    Raises:
        UlmfitError: one of them cannot be read, or a label is none of the classifier's.
    """
    from ulmfit_jax.answers import check_kind
    from ulmfit_jax.data import check_labels, read_dataset
    from ulmfit_jax.ensemble import load_classifier

    model = load_classifier(options.model, devices=options.devices, precision=options.precision)
    data = read_dataset(options.data, **labelled_reading_options(as_the_model(options)))
    check_kind(data, model.multi_label)
    check_labels(data, model.class_names)
    return model, data


def were_trained_on(model: TextClassifier | Ensemble, data: TextDataset) -> bool:
    """Whether the texts and labels are all of those that a training command gave the model, or a member of it."""
    from ulmfit_jax.data import texts_fingerprint

    members: Sequence[Any] = getattr(model, "members", [model])
    known = {one for member in members for one in known_data(member.artifact.provenance)}
    return not known.isdisjoint({data.fingerprint(), texts_fingerprint(data.texts)})


def remark_on_separator(data: TextDataset) -> None:
    """Say so where one label a text was read, but a semicolon in some lets suspect that several are meant."""
    count = sum(_SEPARATOR in label for label in data.labels or ())
    if count:
        has = "text has a label" if count == 1 else "texts have labels"
        note(
            f"{count:,} {has} with {_SEPARATOR!r}, taken as it stands for one class: if several labels a "
            f"text are meant, give --label-separator {_SEPARATOR!r}"
        )


def remark_on_measuring_texts(valid: TextDataset, data: TextDataset, test: TextDataset | None) -> None:
    """Say so where texts that are to measure are learnt from, or are test texts, too."""
    if shared := valid.shared_with(data):
        are = "is in DATA too" if shared == 1 else "are in DATA too"
        note(f"{shared:,} of the texts of --valid {are} and learnt from: what they measure flatters")
    if test is not None and (shared := test.shared_with(valid)):
        are = "is a text of --valid too" if shared == 1 else "are texts of --valid too"
        note(f"{shared:,} of the test texts {are}: what is chosen by these flatters the test")


def remark_on_spelling(data: TextDataset) -> None:
    """Say so where labels differ in nothing but capital letters."""
    by_name: dict[str, list[str]] = {}
    for name in sorted(data.texts_by_label()):
        by_name.setdefault(name.lower(), []).append(name)
    if alike := [names for names in by_name.values() if len(names) > 1]:
        first, *others = alike
        more = f", and so do {len(others):,} more groups of labels" if others else ""
        note(f"{listed(first)} differ only in capital letters and count as {len(first)} classes{more}")


def remark_on_few_texts(data: TextDataset) -> None:
    """Say so where some labels have hardly any texts to learn them from."""
    counts = data.texts_by_label()
    if data.labels is not None and len(counts) == len(data) >= FEW_TEXTS:
        note("each text has a label of its own: is that the column of the labels?")
        return
    few = sorted((count, name) for name, count in counts.items() if count < FEW_TEXTS)
    if few:
        least, name = few[0]
        note(
            f"{len(few):,} of {counted(len(counts), 'label')} {'has' if len(few) == 1 else 'have'} fewer than "
            f"{FEW_TEXTS} texts ({name!r} has {least}): expect little there; labelled texts help most, texts without "
            "labels (--unlabeled) too"
        )
