"""Lines of UTF-8 files, plain or compressed, whose errors name the file, the line and the byte."""

from __future__ import annotations

import gzip
import lzma
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import BinaryIO

from ulmfit_jax.errors import DataError

COMPRESSIONS = (".gz", ".xz")

LONGEST = 200_000_000
"""Bytes of a line, characters of a field or of a file that is one document: far more than any book, and what bounds the
memory that a file takes whose few compressed bytes are gigabytes."""

_BOM = "\ufeff"


def read_lines(path: Path) -> Iterator[str]:
    """Yields the lines of a UTF-8 file with their line breaks, split at LF only; streams.

    A byte order mark at the start is dropped. Files that end in .gz or .xz are decompressed.

    Raises:
        DataError: no such file, or it cannot be read, is empty, damaged or not UTF-8, or has a line of more than
            `LONGEST` bytes.
    """
    check_file(path)
    number = 0
    for line in decode_lines(_raw_lines(path), str(path)):
        number += 1
        yield line
    if number == 0:
        raise DataError(f"{path} is empty; give a file with text.")


def check_file(path: Path) -> None:
    """Makes sure that there is a file to read.

    Raises:
        DataError: there is none, or it is a folder or a device.
    """
    # Unlike the methods of `Path`, these functions raise nothing for a name that no file can have.
    if not os.path.isfile(path):
        found = "is a folder" if os.path.isdir(path) else "is no file" if os.path.exists(path) else "does not exist"
        raise DataError(f"{path} {found}; give the path of a file.")


def decode_lines(raw_lines: Iterable[bytes], source: str) -> Iterator[str]:
    """Yields lines as text; a byte order mark at the start is dropped.

    Args:
        raw_lines: bytes up to each LF, such as `sys.stdin.buffer` gives them.
        source: where they come from, for messages.

    Raises:
        DataError: a line is not UTF-8.
    """
    offset = 0
    for number, raw in enumerate(raw_lines, 1):
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(_not_utf8(source, number, offset, raw, error.start)) from error
        offset += len(raw)
        yield line.removeprefix(_BOM) if number == 1 else line


def read_text(path: Path) -> str:
    """The whole text of a UTF-8 file, "" if it is empty; CR LF becomes LF and the last line break is dropped.

    Raises:
        DataError: as `read_lines`, or the text has more than `LONGEST` characters.
    """
    if os.path.isfile(path) and os.path.getsize(path) == 0:
        return ""
    lines: list[str] = []
    size = 0
    for line in read_lines(path):
        lines.append(line)
        size += len(line)
        if size > LONGEST:
            raise DataError(f"{path} has more than {LONGEST:,} characters; cut it into several documents.")
    return "".join(lines).replace("\r\n", "\n").removesuffix("\n")


def data_suffix(path: Path) -> str:
    """The suffix that says what a file holds, in lower case: ".csv" for "a.csv" and for "a.CSV.gz"."""
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _open(path: Path) -> BinaryIO | gzip.GzipFile | lzma.LZMAFile:
    match path.suffix.lower():
        case ".gz":
            return gzip.open(path)
        case ".xz":
            return lzma.open(path)
        case _:
            return path.open("rb")


def _raw_lines(path: Path) -> Iterator[bytes]:
    try:
        with closing(_open(path)) as file:
            for number, raw in enumerate(iter(partial(file.readline, LONGEST + 1), b""), 1):
                if len(raw) > LONGEST:
                    raise DataError(
                        f"{path}, line {number} has more than {LONGEST:,} bytes; break the text into several lines."
                    )
                yield raw
    except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error, MemoryError) as error:
        reason = str(error) or "it wants too much memory"
        raise DataError(f"{path} is damaged or cut off ({reason}); make or download the file again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); give a file that can.") from error


def _not_utf8(source: str, number: int, offset: int, raw: bytes, start: int) -> str:
    # UTF-16 begins with one of these two marks, and is what some spreadsheets export as "Unicode text".
    kind = "looks like UTF-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") and number == 1 else "is not UTF-8"
    return (
        f"{source} {kind}: line {number} has the byte 0x{raw[start]:02x} at column {start + 1} "
        f"(byte {offset + start} of the file); save the file as UTF-8."
    )
