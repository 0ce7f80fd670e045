"""Lines of UTF-8 files, plain or compressed, whose errors name the file, the line and the byte."""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from ulmfit_jax.errors import DataError

COMPRESSIONS = (".gz", ".xz")

_BOM = "\ufeff"


def read_lines(path: Path) -> Iterator[str]:
    """Yields the lines of a UTF-8 file with their line breaks, split at LF only; streams.

    A byte order mark at the start is dropped. Files that end in .gz or .xz are decompressed.

    Raises:
        DataError: no such file, or it is empty, damaged or not UTF-8.
    """
    if not path.is_file():
        raise DataError(f"{path} {'is a folder' if path.is_dir() else 'does not exist'}; give the path of a file.")
    number = 0
    with closing(_open(path)) as file:
        for line in decode_lines(_raw_lines(file, path), str(path)):
            number += 1
            yield line
    if number == 0:
        raise DataError(f"{path} is empty; give a file with text.")


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
        DataError: as `read_lines`.
    """
    if path.is_file() and path.stat().st_size == 0:
        return ""
    return "".join(read_lines(path)).replace("\r\n", "\n").removesuffix("\n")


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


def _raw_lines(file: Iterable[bytes], path: Path) -> Iterator[bytes]:
    try:
        yield from file
    except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"{path} is damaged or cut off ({error}); make or download the file again.") from error


def _not_utf8(source: str, number: int, offset: int, raw: bytes, start: int) -> str:
    # UTF-16 begins with one of these two marks, and is what some spreadsheets export as "Unicode text".
    kind = "looks like UTF-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") and number == 1 else "is not UTF-8"
    return (
        f"{source} {kind}: line {number} has the byte 0x{raw[start]:02x} at column {start + 1} "
        f"(byte {offset + start} of the file); save the file as UTF-8."
    )
