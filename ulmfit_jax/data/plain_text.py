"""Documents of plain text files, one after the other, for language models."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

from ulmfit_jax.data.lines import COMPRESSIONS, data_suffix, read_lines, read_text
from ulmfit_jax.data.text_files import files_below
from ulmfit_jax.errors import ConfigError, DataError

Documents = Literal["blocks", "lines", "files"]
"""What a document is: lines up to a blank line, one line, or a whole file."""

_SPREADSHEETS = (".xlsx", ".xls", ".ods")

# Far more than any book. A file with a document a line and no blank line would else be taken for one document.
_LONGEST_BLOCK = 50_000_000


def plain_text_files(location: str) -> list[Path]:
    """The files that a location stands for, sorted by name.

    Args:
        location: a file of any name, a glob pattern (`**` for any depth), or a folder: its files that end in .txt,
            .txt.gz or .txt.xz, at any depth, names that begin with a dot left out.

    Raises:
        DataError: there is none, or one is no text.
    """
    path = Path(location)
    if os.path.isfile(path):
        files, problem = [path], ""
    elif os.path.isdir(path):
        files = files_below(path, lambda file: data_suffix(file) == ".txt")
        kinds = ", ".join([".txt", *(f".txt{suffix}" for suffix in COMPRESSIONS)])
        problem = f"The folder {location} holds no text files ({kinds}); give a folder or a pattern of them."
    else:
        files = [Path(name) for name in glob.glob(location, recursive=True) if os.path.isfile(name)]
        found = "is no file" if os.path.exists(path) else "does not exist"
        problem = f"{location} {found}; give a text file, a folder of text files or a pattern such as 'wiki/*.txt.xz'."
    if not files:
        raise DataError(problem)
    for file in files:
        check_is_text(file)
    return sorted(files)


def check_is_text(path: Path) -> None:
    """Refuse a file whose name says that its lines are no texts.

    Raises:
        DataError: it is a spreadsheet or a JSON file.
    """
    suffix = data_suffix(path)
    if suffix in _SPREADSHEETS:
        raise DataError(f"{path} is a spreadsheet; save it as .csv and give that file.")
    if suffix == ".json":
        raise DataError(
            f"{path} is JSON; if each of its lines is an object with a text, name it .jsonl, else save it as such or "
            "as .csv and give that file."
        )


def plain_texts(location: str, documents: Documents = "blocks", encoding: str | None = None) -> Iterator[str]:
    """Yields the documents of plain text files, file after file; streams (but for "files").

    Args:
        location: as in `plain_text_files`.
        documents: "blocks": separated by one or more blank lines, the lines of a document joined by LF; "lines": each
            line that is not blank; "files": each file.
        encoding: of the files; see `read_lines`.

    Raises:
        DataError: no such files, or one is empty, damaged or not of the encoding.
        ConfigError: `documents` is something else.
    """
    if documents not in get_args(Documents):
        raise ConfigError(f"documents is {documents!r}; it must be one of {', '.join(get_args(Documents))}.")
    return _documents(plain_text_files(location), documents, encoding)


def _documents(files: list[Path], documents: Documents, encoding: str | None) -> Iterator[str]:
    for path in files:
        match documents:
            case "blocks":
                yield from _blocks(path, encoding)
            case "lines":
                yield from (line.rstrip("\r\n") for line in read_lines(path, encoding) if line.strip())
            case "files":
                yield read_text(path, encoding)


def _blocks(path: Path, encoding: str | None) -> Iterator[str]:
    block: list[str] = []
    size = 0
    for number, line in enumerate(read_lines(path, encoding), 1):
        if line.strip():
            block.append(line.rstrip("\r\n"))
            size += len(line)
            if size > _LONGEST_BLOCK:
                raise DataError(
                    f"{path} has more than {_LONGEST_BLOCK:,} characters without a blank line up to line {number}; "
                    "if it holds one document a line, say documents='lines'."
                )
        elif block:
            yield "\n".join(block)
            block, size = [], 0
    if block:
        yield "\n".join(block)
