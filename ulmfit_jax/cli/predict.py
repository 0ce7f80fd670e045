"""`ulmfit predict`: classes of texts, as a stream."""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import json
import os
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
With --keep COLUMN, such as a number by which a row is known, a column of the table goes along into the answers.
"""

EXAMPLES = """\
examples:
  ulmfit predict run --text "What a lovely surprise."
  ulmfit predict run letters.txt > answers.jsonl
  ulmfit predict run letters.csv --csv --keep id > answers.csv
  ulmfit predict run reviews.csv --text-column body | grep '"label": "negative"'
"""

Row = tuple[str, dict[str, Any]]
"""A text, and what goes along with it into its answer."""

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
    parser.add_argument(
        "--keep",
        metavar="C",
        action="append",
        default=[],
        help="column of the table that goes along (of JSON lines, one that the first has); may be given several times",
    )
    add_device_options(parser)
    add_predict_precision(parser)
    add_reading_options(parser, labels=False, of_model=True)


def run(options: argparse.Namespace) -> None:
    """Load, then answer batch after batch."""
    from ulmfit_jax.ensemble import load_classifier

    model = load_classifier(options.model, devices=options.devices, precision=options.precision)
    key = "labels" if model.multi_label else "label"
    names = ["text", key, *model.class_names]
    rows = _rows(options, names if options.csv else ["text", key, "probabilities"])
    rows = itertools.chain([*itertools.islice(rows, 1)], rows)  # what is wrong with FILE is said before a header is
    if options.csv:
        _show_row([*options.keep, *names])
    empty = 0
    for batch in _batches(rows):
        empty += sum(not text.strip() for text, _ in batch)
        probabilities = model.predict_proba([text for text, _ in batch])
        for (text, kept), answer, row in zip(batch, _answers(model, probabilities), probabilities, strict=True):
            if options.csv:
                _show_row([*(_cell(value) for value in kept.values()), text, ";".join(answer), *plain(row)])
            else:
                by_name = dict(zip(model.class_names, row, strict=True))
                label = answer if model.multi_label else answer[0]
                show_json({**kept, "text": text, key: label, "probabilities": by_name})
        sys.stdout.flush()
    if empty == 1:
        note("1 text is empty: its answer says nothing of it")
    elif empty:
        note(f"{empty:,} texts are empty: their answers say nothing of them")


def _rows(options: argparse.Namespace, names: Sequence[str]) -> Iterator[Row]:
    """The texts, each with what goes along; `names` are those of the answers' own columns."""
    if not options.keep:
        return ((text, {}) for text in texts_of(options))
    if taken := [name for name in options.keep if name in names]:
        raise ConfigError(f"--keep {taken[0]}: the answers have a column of that name; rename it in the table")
    if len(set(options.keep)) < len(options.keep):
        raise ConfigError("--keep names a column twice")
    if options.text is not None or options.data in (None, "-"):
        raise ConfigError("--keep names a column of a table: give a table as FILE")
    from ulmfit_jax.data import iter_rows

    rows = iter_rows(options.data, options.keep, **reading_options(as_the_model(options)))
    return ((text, {name: _as_json(value) for name, value in kept.items()}) for text, kept in rows)


def _as_json(value: Any) -> Any:
    """A table's value as JSON can hold it: a date as text, a missing one as None."""
    from ulmfit_jax.data.records import is_missing

    def spelled(other: Any) -> str:
        return other.decode("utf-8", "replace") if isinstance(other, bytes) else str(other)

    return None if is_missing(value) else json.loads(json.dumps(plain(value), default=spelled))


def _cell(value: Any) -> str | float:
    """The same in a table: None is empty, what is neither text nor a number as JSON."""
    if value is None:
        return ""
    return value if type(value) in (str, int, float) else json.dumps(value, ensure_ascii=False, allow_nan=False)


def add_texts(parser: argparse.ArgumentParser) -> None:
    """What `texts_of` reads."""
    parser.add_argument("data", metavar="FILE", nargs="?", help="texts; standard input if not given, or -")
    parser.add_argument(
        "--text", action="append", metavar="T", help="a text itself in the place of FILE; may be given several times"
    )


def texts_of(options: argparse.Namespace) -> Iterable[str]:
    """The texts that `predict`, `explain` and `perplexity` are given, lazily."""
    from ulmfit_jax.data import TextStream
    from ulmfit_jax.data.lines import checked_encoding, data_suffix, decode_lines, read_lines
    from ulmfit_jax.data.plain_text import check_is_text
    from ulmfit_jax.data.reading import TABLES

    if options.text is not None:
        if options.data is not None:
            raise ConfigError("give texts as FILE or as --text, not both")
        if options.text_column is not None:
            raise ConfigError("--text-column names a column of a table: leave it out with --text")
        return options.text
    if options.data in (None, "-"):
        if options.text_column is not None:
            raise ConfigError(
                "--text-column names a column of a table, but standard input is read as lines: give the table as FILE"
            )
        encoding = checked_encoding(options.encoding)
        if sys.stdin.isatty():
            note("type texts, one a line; Ctrl-D on an empty line ends them")
        lines = _without_breaks(decode_lines(sys.stdin.buffer, "standard input", encoding))
        kept = as_the_model(options).text_column
        return _remarked_on(lines, kept.names if kept else ())
    path = Path(options.data)
    if " " in options.data and not os.path.exists(path):
        raise DataError(
            f"there is no file {options.data!r}; for a text itself: ulmfit {options.command} "
            f"{shlex.quote(options.model)} --text {shlex.quote(options.data)}"
        )
    if data_suffix(path) in TABLES or options.data.startswith("tfds:"):
        return TextStream(options.data, **reading_options(as_the_model(options)))
    if path.is_file():  # else it is said that there is none
        check_is_text(path)
        if options.text_column is not None:
            raise ConfigError(f"--text-column names a column of a table, but {options.data} has lines: leave it out")
    return _without_breaks(read_lines(path, options.encoding))


def _remarked_on(lines: Iterator[str], columns: Sequence[str]) -> Iterator[str]:
    """The lines of standard input; it is said if the first one looks like that of a table with these columns of texts,
    or one with a usual name."""
    from ulmfit_jax.data.records import TEXT_COLUMNS

    first = next(lines, None)
    if first is None:
        return
    fields = {field.strip().strip('"') for field in re.split("[,;\t]", first)}
    is_usual = len(fields) > 1 and not {field.lower() for field in fields}.isdisjoint(TEXT_COLUMNS)
    if is_usual or (columns and fields.issuperset(columns)) or first.startswith('{"'):
        note(
            "standard input is read as lines, a text each, but its first line looks like that of a table: give a "
            "table as FILE"
        )
    yield first
    yield from lines


def _without_breaks(lines: Iterable[str]) -> Iterator[str]:
    return (line.removesuffix("\n").removesuffix("\r") for line in lines)


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Texts, each with what goes along, in lists that fit into memory; what was read before an error is still
    answered."""
    batch: list[Row] = []
    characters = 0
    try:
        for row in rows:
            batch.append(row)
            characters += len(row[0])
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
