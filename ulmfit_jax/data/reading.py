"""Texts and their labels, read from wherever they are."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.folders import folder_records
from ulmfit_jax.data.label_sets import LabelSet, clean_label_set, holds_several
from ulmfit_jax.data.lines import data_suffix, read_lines
from ulmfit_jax.data.parquet import parquet_records
from ulmfit_jax.data.plain_text import Documents, check_is_text, plain_texts
from ulmfit_jax.data.records import LabelColumn, Record, TextColumn, choose_columns, clean_label, clean_text
from ulmfit_jax.data.tables import csv_records, jsonl_records
from ulmfit_jax.data.tfds_source import TFDS_PREFIX, tfds_records
from ulmfit_jax.errors import DataError

_TEXT_TABLES = {".csv": csv_records, ".tsv": csv_records, ".jsonl": jsonl_records, ".ndjson": jsonl_records}
_PARQUET = ".parquet"

TABLES = (*_TEXT_TABLES, _PARQUET)
"""Suffixes of files with named columns."""

logger = logging.getLogger(__name__)


def read_dataset(
    location: str | Path,
    *,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    label_separator: str | None = None,
    data_dir: str | Path | None = None,
    require_labels: bool = True,
    download: bool = False,
    encoding: str | None = None,
) -> TextDataset:
    """Reads texts and labels into memory, in the order of the source.

    Args:
        location: what to read:
            a file .csv, .tsv, .jsonl or .parquet with named columns (all but Parquet also with .gz or .xz after it);
            a file .txt, one document a line, without labels;
            a folder with one sub-folder of .txt files for each label, or .txt files without labels;
            `tfds:NAME[/CONFIG]:SPLIT`, a TensorFlow data set, such as `tfds:imdb_reviews:train[:2500]`.
        text_column: the column of the text, or several whose texts are joined as fields; by default the first of
            `records.TEXT_COLUMNS` that exists.
        label_column: the column of the label; by default the first of `records.LABEL_COLUMNS` that exists. Several:
            each is a label, and says 1 or 0, true or false, yes or no of a text, which may have several labels then.
        label_separator: what stands between a text's labels where it may have several, such as ";"; an empty cell is a
            text to which none applies. Lists (JSON lines, Parquet) are several labels without it.
        data_dir: the folder of prepared TensorFlow data sets; TFDS's default where None.
        require_labels: whether every example must have a label. If not, the labels are read where all have one and are
            None otherwise.
        download: whether a TensorFlow data set that is not in `data_dir` may be downloaded and prepared there.
        encoding: of text files, one that Python knows, such as "cp1252"; by default UTF-8, or UTF-16 where a file
            begins with its byte order mark.

    Raises:
        DataError: whatever is wrong with the data, and where.
        ConfigError: there is no such encoding.
    """
    location, columns = str(location), (text_column, label_column, require_labels)
    records = _records(location, columns, data_dir, download, encoding)
    return _collect(records, location, require_labels, label_separator)


def from_frame(
    frame: Any,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    label_separator: str | None = None,
) -> TextDataset:
    """Texts and labels of two or more columns of a pandas data frame, as in `read_dataset`; a missing text is "".

    Raises:
        DataError: a column is missing or there twice, a text is not a string, or a label is missing in the column that
            was named (where none was, the labels are then None).
    """
    source = "the data frame"
    existing = {str(name): name for name in frame.columns}  # names may be numbers
    if len(existing) < len(frame.columns):
        raise DataError(f"{source} has two columns of one name; rename one of them.")
    columns = choose_columns(list(existing), text_column, label_column, False, source)
    rows = enumerate(zip(*(frame[existing[name]].tolist() for name in columns.names), strict=True), 1)
    records = (columns.record(f"row {number}", dict(zip(columns.names, row, strict=True))) for number, row in rows)
    return _collect(records, source, label_column is not None, label_separator)


def iter_texts(
    location: str | Path,
    *,
    documents: Documents = "blocks",
    text_column: TextColumn = None,
    data_dir: str | Path | None = None,
    download: bool = False,
    encoding: str | None = None,
) -> Iterator[str]:
    """Yields documents without labels, one at a time, for language models; streams whatever the size.

    Args:
        location: a table or `tfds:…` as in `read_dataset`; or a text file, also .gz or .xz, a folder of them at any
            depth, or a glob pattern, read in the order of the names.
        documents: what a document is in a text file: "blocks" that blank lines separate, "lines" or "files".
        text_column: as in `read_dataset`.
        data_dir: as in `read_dataset`.
        download: as in `read_dataset`.
        encoding: as in `read_dataset`.

    Raises:
        DataError: whatever is wrong with the data, and where.
        ConfigError: `documents` is something else, or there is no such encoding.
    """
    location = str(location)
    if location.startswith(TFDS_PREFIX) or data_suffix(Path(location)) in TABLES:
        records = _records(location, (text_column, None, False), data_dir, download, encoding)
        return (clean_text(record, location) for record in records)
    return plain_texts(location, documents, encoding)


def iter_rows(
    location: str | Path,
    kept: str | Sequence[str],
    *,
    text_column: TextColumn = None,
    data_dir: str | Path | None = None,
    download: bool = False,
    encoding: str | None = None,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the texts of a table, each with the values of further columns by name; streams whatever the size.

    Args:
        location: a table or `tfds:…` as in `read_dataset`.
        kept: the further columns, which may also be those of text or label.
        text_column: as in `read_dataset`.
        data_dir: as in `read_dataset`.
        download: as in `read_dataset`.
        encoding: as in `read_dataset`.

    Raises:
        DataError: whatever is wrong with the data, and where; also where the source has no columns.
        ConfigError: there is no such encoding.
    """
    location, kept = str(location), (kept,) if isinstance(kept, str) else tuple(kept)
    records = _records(location, (text_column, None, False), data_dir, download, encoding, kept)
    return ((clean_text(record, location), dict(zip(kept, record.kept, strict=True))) for record in records)


@dataclass(frozen=True)
class TextStream:
    """The documents of `iter_texts` as a collection that can be read more than once without being held in memory.

    Attributes:
        location, documents, text_column, data_dir, download, encoding: as in `iter_texts`.
    """

    location: str | Path
    documents: Documents = "blocks"
    text_column: TextColumn = None
    data_dir: str | Path | None = None
    download: bool = False
    encoding: str | None = None

    def __iter__(self) -> Iterator[str]:
        return iter_texts(
            self.location,
            documents=self.documents,
            text_column=self.text_column,
            data_dir=self.data_dir,
            download=self.download,
            encoding=self.encoding,
        )


def _records(
    location: str,
    columns: tuple[TextColumn, LabelColumn, bool],
    data_dir: str | Path | None,
    download: bool,
    encoding: str | None,
    kept: Sequence[str] = (),
) -> Iterator[Record]:
    if location.startswith(TFDS_PREFIX):
        return tfds_records(location, *columns, kept=kept, data_dir=data_dir, download=download)
    path = Path(location)
    suffix = "" if os.path.isdir(path) else data_suffix(path)
    if suffix == _PARQUET:
        return parquet_records(path, *columns, kept)
    if suffix in _TEXT_TABLES:
        return _TEXT_TABLES[suffix](path, *columns, encoding, kept)
    if kept and (suffix == ".txt" or os.path.isdir(path)):
        raise DataError(f"{location} has no columns that could go along with the texts; give a table.")
    if os.path.isdir(path):
        return folder_records(path, require_labels=columns[2], encoding=encoding)
    if suffix == ".txt":
        if columns[2]:
            raise DataError(f"{path} is plain text and has no labels; give a table with a column of labels.")
        return _line_records(path, encoding)
    if not os.path.exists(path):
        raise DataError(f"{location} does not exist; give a file, a folder or tfds:NAME:SPLIT.")
    check_is_text(path)
    kinds = f"a file {', '.join(TABLES)} or .txt, of text also with .gz or .xz behind it, or a folder"
    raise DataError(f"{location} is of no known kind; give {kinds}.")


def _line_records(path: Path, encoding: str | None) -> Iterator[Record]:
    lines = enumerate(read_lines(path, encoding), 1)
    return (Record(f"line {n}", (line.rstrip("\r\n"),), None) for n, line in lines)


def _collect(records: Iterable[Record], source: str, require_labels: bool, separator: str | None = None) -> TextDataset:
    """The records as a data set; the first label says whether there is one a text or several."""
    if separator == "":
        raise DataError(f"{source}: the label_separator is empty; give what stands between labels, such as ';'.")
    texts: list[str] = []
    labels: list[str] = []
    label_sets: list[LabelSet] = []
    several, labelled = separator is not None, require_labels
    for record in records:
        texts.append(clean_text(record, source))
        labelled = labelled or record.label is not None
        several = several or (not labels and holds_several(record.label))
        found = _label(record, source, require_labels, several, separator)
        if isinstance(found, tuple):
            label_sets.append(found)
        elif found is not None:
            labels.append(found)
    if not texts:
        raise DataError(f"{source} holds no documents; give at least one.")
    empty = sum(not text.strip() for text in texts)
    if empty:
        logger.warning("%s: %d of %d texts are empty.", source, empty, len(texts))
    if several and labelled and not labels and len(label_sets) == len(texts):
        return TextDataset(texts, None, source, label_sets)
    return TextDataset(texts, labels if len(labels) == len(texts) else None, source)


def _label(record: Record, source: str, required: bool, several: bool, separator: str | None) -> str | LabelSet | None:
    try:
        label = clean_label_set(record, source, separator) if several else clean_label(record, source)
    except DataError:
        if required:
            raise
        return None
    if label is None and required:
        raise DataError(
            f"{source}, {record.place} has no label; give every text one, or put texts without labels into a file of "
            "their own, or, if a text may have several labels or none, give label_separator."
        )
    return label
