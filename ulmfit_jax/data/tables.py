"""Records of CSV, TSV and JSON lines files."""

from __future__ import annotations

import csv
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ulmfit_jax.data.lines import LONGEST, data_suffix, read_lines
from ulmfit_jax.data.records import Columns, LabelColumn, Record, TextColumn, choose_columns
from ulmfit_jax.errors import DataError

_SEPARATORS = (",", ";", "\t", "|")
"""What programs write between fields: a semicolon where the comma is the sign of decimals."""


def csv_records(
    path: Path,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    require_labels: bool = True,
    encoding: str | None = None,
    kept: Sequence[str] = (),
) -> Iterator[Record]:
    """Yields the rows of a CSV file, or of a TSV file by its suffix; the first row is the header.

    Fields are separated by commas, in a TSV file by tabs; where the header has none of these, by semicolons, tabs,
    commas or vertical bars, of which it has the most. Blank rows are skipped but counted; rows are counted as a
    spreadsheet does, the header being row 1.

    Args:
        path: the file.
        text_column, label_column, require_labels, kept: see `choose_columns`.
        encoding: see `read_lines`.

    Raises:
        DataError: the file is missing, empty, not of the encoding or no CSV, has a column name twice, lacks a column,
            or has a row with more or fewer fields than the header.
    """
    rows = _csv_rows(path, encoding)
    _, header = next(rows)
    twice = [name for name, count in Counter(header).items() if count > 1 and name]
    if twice:
        raise DataError(f"{path} has the column {twice[0]!r} more than once in its first row; rename one of them.")
    columns = choose_columns(header, text_column, label_column, require_labels, str(path), kept)
    places = [(name, header.index(name)) for name in columns.names]
    for place, row in rows:
        if len(row) != len(header):
            advice = (
                "give the row all of its fields, empty ones too, and see that no quotation mark is missing"
                if len(row) < len(header)
                else "put quotation marks around a field that holds a separator or a line break"
            )
            raise DataError(f"{path}, {place} has {len(row)} fields and the header has {len(header)}; {advice}.")
        yield columns.record(place, {name: row[i] for name, i in places})


def jsonl_records(
    path: Path,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    require_labels: bool = True,
    encoding: str | None = None,
    kept: Sequence[str] = (),
) -> Iterator[Record]:
    """Yields the objects of a JSON lines file; blank lines are skipped. The first object says which columns there are.

    Args:
        path, text_column, label_column, require_labels, encoding, kept: as in `csv_records`.

    Raises:
        DataError: the file is missing, empty or not of the encoding, a line is not a JSON object, or an object lacks a
            column.
    """
    columns: Columns | None = None
    for number, line in enumerate(read_lines(path, encoding), 1):
        if not line.strip():
            continue
        row = _json_object(path, number, line)
        if columns is None:
            source = f"{path}, line {number}"
            columns = choose_columns(list(row), text_column, label_column, require_labels, source, kept)
        missing = next((name for name in columns.texts if name not in row), None)
        if missing is not None:
            raise DataError(f"{path}, line {number} has no {missing!r}; add it or name another column.")
        yield columns.record(f"line {number}", row)


def _csv_rows(path: Path, encoding: str | None) -> Iterator[tuple[str, Sequence[str]]]:
    # The limit belongs to the csv module as a whole. It is raised and left so: to put it back would break a reader
    # that is at work at the same time.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST))
    lines = read_lines(path, encoding)
    first = next(lines)
    separator = _separator(first, "\t" if data_suffix(path) == ".tsv" else ",")
    # `strict` makes an error of a quotation mark without its partner, which else swallows the rest of the file.
    reader = csv.reader(itertools.chain([first], lines), delimiter=separator, strict=True)
    number = 0
    while True:
        number += 1
        place = f"row {number} (line {reader.line_num + 1})"
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            raise DataError(
                f"{path}, {place} cannot be read ({error}); put quotation marks around a field that holds a line "
                "break, and double those that are part of it."
            ) from error
        if row and (number == 1 or len(row) == 1 or any(field.strip() for field in row)):
            yield place, row
        elif number == 1:
            raise DataError(f"{path} has a blank first row; give the names of the columns there.")


def _separator(header: str, usual: str) -> str:
    """What is usual, unless there is none of it in the first line of the file but of something else."""
    return usual if usual in header else max((usual, *_SEPARATORS), key=header.count)


def _json_object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line.rstrip())
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}, line {number}, column {error.colno} is not JSON ({error.msg}); give one JSON object a line."
        ) from error
    except RecursionError as error:
        raise DataError(f"{path}, line {number} is nested too deeply; give one flat JSON object a line.") from error
    except ValueError as error:  # Python reads no number of thousands of digits
        raise DataError(
            f"{path}, line {number} holds a number of too many digits; put quotation marks around it."
        ) from error
    if not isinstance(row, dict):
        raise DataError(f"{path}, line {number} is a {type(row).__name__}; give one JSON object a line.")
    return row
