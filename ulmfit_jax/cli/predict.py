"""`ulmfit predict`: classes of texts, as a stream."""

from __future__ import annotations

import argparse
import csv
import io
import os
import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ulmfit_jax.cli.arguments import (
    add_device_options,
    add_model,
    add_predict_precision,
    add_reading_options,
    as_the_model,
    reading_options,
)
from ulmfit_jax.cli.console import note, plain, show, show_json
from ulmfit_jax.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np

    from ulmfit_jax.answers import Answers

SUMMARY = "classify texts, one a line"

DESCRIPTION = """\
Classify texts, one a line, and print one line of JSON for each, in the same order: text, label, and the probability of
each label. Where a text may have several labels, or none, it is labels, a list of those more probable than not. An
empty line is a text too. Texts are read and answered in batches, so the input may be of any length.

FILE is a text file with one text a line (also .gz or .xz), or a table with a column of texts (.csv, .tsv, .jsonl,
.parquet, tfds:...). Without FILE, lines are read from standard input. With --csv the answers are a table for a
spreadsheet, a row for each text in the same order; several labels of a text stand in one field, `;` between them.
"""

EXAMPLES = """\
examples:
  ulmfit predict run --text "What a lovely surprise."
  ulmfit predict run letters.txt > answers.jsonl
  ulmfit predict run letters.csv --csv > answers.csv
  ulmfit predict run reviews.csv --text-column body | grep '"label": "negative"'
"""

_BATCH_TEXTS = 512
_BATCH_CHARACTERS = 4_000_000
"""A batch is answered when it has so many texts, or so many characters."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ulmfit predict`."""
    add_model(parser)
    add_texts(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print a line of JSON for each text, as is done anyway")
    form.add_argument("--csv", action="store_true", help="print a table: text, label, probability of each label")
    add_device_options(parser)
    add_predict_precision(parser)
    add_reading_options(parser, labels=False, of_model=True)


def run(options: argparse.Namespace) -> None:
    """Load, then answer batch after batch."""
    from ulmfit_jax.ensemble import load_classifier

    model = load_classifier(options.model, devices=options.devices, precision=options.precision)
    key = "labels" if model.multi_label else "label"
    if options.csv:
        _show_row(["text", key, *model.class_names])
    for texts in _batches(texts_of(options)):
        probabilities = model.predict_proba(texts)
        for text, answer, row in zip(texts, _answers(model, probabilities), probabilities, strict=True):
            if options.csv:
                _show_row([text, ";".join(answer), *plain(row)])
            else:
                by_name = dict(zip(model.class_names, row, strict=True))
                show_json({"text": text, key: answer if model.multi_label else answer[0], "probabilities": by_name})
        sys.stdout.flush()


def add_texts(parser: argparse.ArgumentParser) -> None:
    """What `texts_of` reads."""
    parser.add_argument("data", metavar="FILE", nargs="?", help="texts; standard input if not given")
    parser.add_argument(
        "--text", action="append", metavar="T", help="a text itself in the place of FILE; may be given several times"
    )


def texts_of(options: argparse.Namespace) -> Iterable[str]:
    """The texts that `predict`, `explain` and `perplexity` are given, lazily."""
    from ulmfit_jax.data import TextStream
    from ulmfit_jax.data.dataset import TABLES
    from ulmfit_jax.data.lines import checked_encoding, data_suffix, decode_lines, read_lines

    if options.text is not None:
        if options.data is not None:
            raise ConfigError("give texts as FILE or as --text, not both")
        return options.text
    if options.data is None:
        encoding = checked_encoding(options.encoding)
        if sys.stdin.isatty():
            note("type texts, one a line; Ctrl-D on an empty line ends them")
        return _without_breaks(decode_lines(sys.stdin.buffer, "standard input", encoding))
    path = Path(options.data)
    if " " in options.data and not os.path.exists(path):
        raise DataError(
            f"there is no file {options.data!r}; for a text itself: ulmfit {options.command} "
            f"{shlex.quote(options.model)} --text {shlex.quote(options.data)}"
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


def _answers(model: Answers, probabilities: np.ndarray) -> list[list[str]]:
    """The labels of each text: one, or those that apply."""
    from ulmfit_jax.inference.label_answers import given_labels

    if not model.multi_label:
        return [[model.class_names[int(row.argmax())]] for row in probabilities]
    return [
        [name for name, is_given in zip(model.class_names, row, strict=True) if is_given]
        for row in given_labels(probabilities)
    ]


def _show_row(values: list[str | float]) -> None:
    line = io.StringIO()
    csv.writer(line).writerow(values)  # quotes a field with a line break only if its own line ends in that too
    show(line.getvalue().removesuffix("\r\n"))
