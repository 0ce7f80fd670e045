"""Texts in a file that somebody sends: read as `ulmfit predict` reads it."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ulmfit_jax.data import TextStream
from ulmfit_jax.data.lines import OR_GIVE_ENCODING, read_lines
from ulmfit_jax.data.records import TextColumn
from ulmfit_jax.errors import DataError
from ulmfit_jax.serving.limits import Limits, Refusal

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
LINES = ".txt"


def texts_of_file(name: str, content: bytes, column: TextColumn, limits: Limits) -> list[str]:
    """The texts of a file with these bytes: a line each of a `.txt` file, a row each of a table.

    Args:
        name: of the file, whose ending says what it is; for messages.
        content: of the file.
        column: of the texts in a table, as in `data.read_dataset`.
        limits: how many texts there may be.

    Raises:
        Refusal: a file of another kind, or too many texts.
        DataError: what is wrong in the file, and where.
    """
    suffix = Path(name).suffix.lower()
    if suffix not in (*TABLES, LINES):
        raise Refusal(
            415,
            "unsupported_type",
            f"the file is of no known kind: its name has to end in {', '.join(TABLES)} or {LINES}",
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{suffix}"
        path.write_bytes(content)
        texts: Iterable[str] = TextStream(path, text_column=column)
        if suffix == LINES:
            texts = (line.removesuffix("\n").removesuffix("\r") for line in read_lines(path))
        try:
            read = list(itertools.islice(texts, limits.file_texts + 1))
        except DataError as error:
            sentence = (
                str(error).replace(str(path), "the file").replace("with text_column", "in the field for it (column)")
            )
            raise DataError(sentence.replace(OR_GIVE_ENCODING, "")) from error
    if len(read) > limits.file_texts:
        raise Refusal(413, "too_large", f"the file holds more than {limits.file_texts:,} texts: send a part of it")
    return read
