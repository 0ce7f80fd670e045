"""Records of Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ulmfit_jax.data.lines import check_file
from ulmfit_jax.data.records import LabelColumn, Record, TextColumn, choose_columns
from ulmfit_jax.errors import DataError

_ROWS_AT_A_TIME = 256
"""Rows are turned into Python strings so many at a time; a row may be a book."""


def parquet_records(
    path: Path,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    require_labels: bool = True,
    kept: Sequence[str] = (),
) -> Iterator[Record]:
    """Yields the rows of a Parquet file; only the columns asked for are read, a piece at a time.

    Raises:
        DataError: the file is missing or no Parquet file, or lacks a column.
    """
    from pyarrow.parquet import ParquetFile

    check_file(path)
    number = 0
    try:
        with ParquetFile(path) as file:
            existing = file.schema_arrow.names
            twice = next((name for name in existing if existing.count(name) > 1), None)
            if twice is not None:
                raise DataError(f"{path} has the column {twice!r} more than once; rename one of them.")
            columns = choose_columns(existing, text_column, label_column, require_labels, str(path), kept)
            for batch in file.iter_batches(_ROWS_AT_A_TIME, columns=list(columns.names)):
                values = batch.to_pydict()
                for row in zip(*(values[name] for name in columns.names), strict=True):
                    number += 1
                    yield columns.record(f"row {number}", dict(zip(columns.names, row, strict=True)))
    except DataError:
        raise
    except UnicodeDecodeError as error:
        raise DataError(f"{path} holds a text behind row {number} that is not UTF-8; save it as UTF-8.") from error
    # A value that Python has no type for, or a damaged file, can raise nearly anything.
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        where = f" behind row {number}" if number else ""
        raise DataError(
            f"{path} cannot be read as Parquet{where} ({reason}); make or download the file again."
        ) from error
