"""`ulmfit predict`: classes of texts, as a stream."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ulmfit_jax.cli.arguments import (
    add_device_options,
    add_reading_options,
    add_trained_model,
    as_the_model,
    reading_options,
)
from ulmfit_jax.cli.console import note, show_json
from ulmfit_jax.errors import DataError

if TYPE_CHECKING:
    from ulmfit_jax.answers import Answers

SUMMARY = "classify texts, one a line"

DESCRIPTION = """\
Classify texts, one a line, and print one line of JSON for each, in the same order: text, label, and the probability of
each label. Where a text may have several labels, or none, it is labels, a list of those more probable than not. An
empty line is a text too. Texts are read and answered in batches, so the input may be of any length.

FILE is a text file with one text a line (also .gz or .xz), or a table with a column of texts (.csv, .tsv, .jsonl,
.parquet, tfds:...). Without FILE, lines are read from standard input.
"""

EXAMPLES = """\
examples:
  echo "What a lovely surprise." | ulmfit predict run
  ulmfit predict run letters.txt > answers.jsonl
  ulmfit predict run reviews.csv --text-column body | grep '"label": "negative"'
"""

_BATCH_TEXTS = 512
_BATCH_CHARACTERS = 4_000_000
"""A batch is answered when it has so many texts, or so many characters."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ulmfit predict`."""
    add_trained_model(parser)
    parser.add_argument("data", metavar="FILE", nargs="?", help="texts; standard input if not given")
    add_device_options(parser)
    add_reading_options(parser, labels=False, of_model=True)


def run(options: argparse.Namespace) -> None:
    """Load, then answer batch after batch."""
    from ulmfit_jax.ensemble import load_classifier

    model = load_classifier(options.model, devices=options.devices)
    for texts in _batches(texts_of(options)):
        _answer(model, texts)


def texts_of(options: argparse.Namespace) -> Iterable[str]:
    """The texts that `predict` and `explain` are given, lazily."""
    from ulmfit_jax.data import TextStream
    from ulmfit_jax.data.dataset import TABLES
    from ulmfit_jax.data.lines import checked_encoding, data_suffix, decode_lines, read_lines

    if options.data is None:
        encoding = checked_encoding(options.encoding)
        if sys.stdin.isatty():
            note("type texts, one a line; Ctrl-D on an empty line ends them")
        return _without_breaks(decode_lines(sys.stdin.buffer, "standard input", encoding))
    path = Path(options.data)
    if " " in options.data and not os.path.exists(path):
        raise DataError(
            f"there is no file {options.data!r}; for a text itself: echo {shlex.quote(options.data)} | "
            f"ulmfit {options.command} {shlex.quote(options.model)}"
        )
    if data_suffix(path) in TABLES or options.data.startswith("tfds:"):
        return TextStream(options.data, **reading_options(as_the_model(options)))
    return _without_breaks(read_lines(path, options.encoding))


def _without_breaks(lines: Iterable[str]) -> Iterator[str]:
    return (line.removesuffix("\n").removesuffix("\r") for line in lines)


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """Texts in lists that fit into memory; what was read before an error is still answered."""
    batch: list[str] = []
    characters = 0
    try:
        for text in texts:
            batch.append(text)
            characters += len(text)
            if len(batch) == _BATCH_TEXTS or characters >= _BATCH_CHARACTERS:
                yield batch
                batch, characters = [], 0
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _answer(model: Answers, texts: list[str]) -> None:
    from ulmfit_jax.inference.label_answers import given_labels

    classes = model.class_names
    for text, probabilities in zip(texts, model.predict_proba(texts), strict=True):
        by_name = dict(zip(classes, probabilities, strict=True))
        if model.multi_label:
            given = [name for name, is_given in zip(classes, given_labels(probabilities), strict=True) if is_given]
            show_json({"text": text, "labels": given, "probabilities": by_name})
        else:
            show_json({"text": text, "label": classes[int(probabilities.argmax())], "probabilities": by_name})
    sys.stdout.flush()
