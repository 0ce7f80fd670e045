"""Records of Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ulmfit_jax.data.records import Record, TextColumn, choose_columns
from ulmfit_jax.errors import DataError


def parquet_records(
    path: Path, text_column: TextColumn = None, label_column: str | None = None, require_labels: bool = True
) -> Iterator[Record]:
    """Yields the rows of a Parquet file; only the columns asked for are read, a piece at a time.

    Raises:
        DataError: the file is missing or no Parquet file, or lacks a column.
    """
    import pyarrow
    from pyarrow.parquet import ParquetFile

    if not path.is_file():
        raise DataError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}; give the path of a file.")
    try:
        with ParquetFile(path) as file:
            existing = file.schema_arrow.names
            twice = next((name for name in existing if existing.count(name) > 1), None)
            if twice is not None:
                raise DataError(f"{path} has the column {twice!r} more than once; rename one of them.")
            columns = choose_columns(existing, text_column, label_column, require_labels, str(path))
            number = 0
            for batch in file.iter_batches(columns=list(columns.names)):
                values = batch.to_pydict()
                labels = [None] * batch.num_rows if columns.label is None else values[columns.label]
                for row in zip(*(values[name] for name in columns.texts), labels, strict=True):
                    number += 1
                    yield Record(f"row {number}", row[:-1], row[-1])
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet ({error}); make or download the file again.") from error
