"""Lines of text files, plain or compressed, whose errors name the file, the line and, of UTF-8, the byte."""

from __future__ import annotations

import codecs
import gzip
import io
import logging
import lzma
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from ulmfit_jax.errors import ConfigError, DataError

logger = logging.getLogger(__name__)

COMPRESSIONS = (".gz", ".xz")

LONGEST = 200_000_000
"""Bytes of a line, characters of a field or of a file that is one document: far more than any book, and what bounds the
memory that a file takes whose few compressed bytes are gigabytes."""

Line = TypeVar("Line", str, bytes)

OR_GIVE_ENCODING = ", or give encoding='cp1252' if it is from Windows in western Europe"
"""Advice where an encoding can be given."""

_BOM = "\ufeff"
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # begins with the next one
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Bytes that begin a file of another encoding than UTF-8."""


def read_lines(path: Path, encoding: str | None = None) -> Iterator[str]:
    """Yields the lines of a text file with their line breaks, split at LF only; streams.

    A byte order mark at the start is dropped. Files that end in .gz or .xz are decompressed.

    Args:
        path: the file.
        encoding: one that Python knows, such as "cp1252"; by default UTF-8, or UTF-16 or UTF-32 where the file begins
            with its byte order mark.

    Raises:
        DataError: no such file, or it cannot be read, is empty, damaged or not of the encoding, or has a line of more
            than `LONGEST` bytes.
        ConfigError: there is no such encoding.
    """
    check_file(path)
    number = 0
    for line in _decoded(path, checked_encoding(encoding)):
        number += 1
        yield line
    if number == 0:
        raise DataError(f"{path} is empty; give a file with text.")


def checked_encoding(name: str | None) -> str | None:
    """Python's own name of an encoding; None for None.

    Raises:
        ConfigError: there is no such encoding of text.
    """
    if name is None:
        return None
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=name)  # refuses codecs that are none of text
        return codecs.lookup(name).name
    except (LookupError, ValueError) as error:
        raise ConfigError(
            f"encoding is {name!r}, which is not known; give one such as utf-8, utf-16, cp1252 or shift_jis"
        ) from error


def check_file(path: Path) -> None:
    """Makes sure that there is a file to read.

    Raises:
        DataError: there is none, or it is a folder or a device.
    """
    # Unlike the methods of `Path`, these functions raise nothing for a name that no file can have.
    if not os.path.isfile(path):
        found = "is a folder" if os.path.isdir(path) else "is no file" if os.path.exists(path) else "does not exist"
        raise DataError(f"{path} {found}; give the path of a file.")


def decode_lines(file: BinaryIO, source: str, encoding: str | None = None) -> Iterator[str]:
    """Yields the lines of an open file as text; a byte order mark at the start is dropped.

    Args:
        file: such as `sys.stdin.buffer`.
        source: where they come from, for messages.
        encoding: as Python calls it; UTF-8 by default.

    Raises:
        DataError: a line is not of the encoding, or has more than `LONGEST` bytes.
    """
    if encoding in (None, "utf-8", "utf-8-sig"):
        yield from _decoded_utf8(_bounded(partial(file.readline, LONGEST + 1), b"", source), source)
        return
    # A line break is two bytes or more in some encodings, so the text is cut and not the bytes.
    text = io.TextIOWrapper(cast(io.BufferedReader, file), encoding=encoding, newline="\n")
    number = 0
    try:
        for line in _bounded(partial(text.readline, LONGEST + 1), "", source):
            number += 1
            yield line.removeprefix(_BOM) if number == 1 else line
    except UnicodeError as error:
        raise DataError(
            f"{source} is not {encoding} behind line {number} ({error}); give the encoding that it was saved in."
        ) from error
    finally:
        text.detach()


def _decoded_utf8(raw_lines: Iterable[bytes], source: str) -> Iterator[str]:
    offset = 0
    for number, raw in enumerate(raw_lines, 1):
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(_not_utf8(source, number, offset, raw, error.start)) from error
        offset += len(raw)
        yield line.removeprefix(_BOM) if number == 1 else line


def read_text(path: Path, encoding: str | None = None) -> str:
    """The whole text of a file, "" if it is empty; CR LF becomes LF and the last line break is dropped.

    Args:
        path, encoding: as in `read_lines`.

    Raises:
        DataError: as `read_lines`, or the text has more than `LONGEST` characters.
    """
    if os.path.isfile(path) and os.path.getsize(path) == 0:
        return ""
    lines: list[str] = []
    size = 0
    for line in read_lines(path, encoding):
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


def _open(path: Path) -> io.BufferedReader | gzip.GzipFile | lzma.LZMAFile:
    match path.suffix.lower():
        case ".gz":
            return gzip.open(path)
        case ".xz":
            return lzma.open(path)
        case _:
            return path.open("rb")


def _decoded(path: Path, encoding: str | None) -> Iterator[str]:
    try:
        with closing(_open(path)) as file:
            start = file.peek(4)
            if encoding is None:
                encoding = next((name for mark, name in _MARKS.items() if start.startswith(mark)), None)
            elif not encoding.startswith("utf") and _is_utf8_of_many_bytes(start):
                logger.warning(
                    "%s looks like UTF-8, and is read as %s: see whether its texts are right", path, encoding
                )
            yield from decode_lines(cast(BinaryIO, file), str(path), encoding)
    except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error, MemoryError) as error:
        reason = str(error) or "it wants too much memory"
        raise DataError(f"{path} is damaged or cut off ({reason}); make or download the file again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); give a file that can.") from error


def _is_utf8_of_many_bytes(start: bytes) -> bool:
    """Whether a file begins as only UTF-8 does: with characters of several bytes, and nothing else is in it."""
    try:
        # What is cut off at the end is not looked at.
        return not start.isascii() and bool(codecs.getincrementaldecoder("utf-8")().decode(start))
    except UnicodeDecodeError:
        return False


def _bounded(next_line: Callable[[], Line], end: Line, source: str) -> Iterator[Line]:
    for number, line in enumerate(iter(next_line, end), 1):
        if len(line) > LONGEST:
            raise DataError(
                f"{source}, line {number} has more than {LONGEST:,} bytes; break the text into several lines."
            )
        yield line


def _not_utf8(source: str, number: int, offset: int, raw: bytes, start: int) -> str:
    # Begins so: what some spreadsheets export as "Unicode text".
    is_utf16 = raw[:2] in (b"\xff\xfe", b"\xfe\xff") and number == 1
    kind, advice = "is not UTF-8", OR_GIVE_ENCODING
    if is_utf16:
        kind, advice = "looks like UTF-16", ", or give encoding='utf-16'"
    return (
        f"{source} {kind}: line {number} has the byte 0x{raw[start]:02x} at column {start + 1} "
        f"(byte {offset + start} of the file); save the file as UTF-8{advice}."
    )
