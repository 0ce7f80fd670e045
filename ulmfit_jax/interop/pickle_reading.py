"""The bytes of a pickle as values: never more than the file has, and numbers and keys of ordinary size."""

from __future__ import annotations

import pickle
from typing import IO, Any, Final

_BITS: Final = 128
"""No number of an honest file has more; torch's magic number has 77."""
_OLD_STRINGS: Final = ("BINSTRING", "SHORT_BINSTRING")
_LITERALS: Final = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)


class Bounded:
    """A file whose `read` asks for no more than is there: for a length that a file only claims, Python would make
    room first."""

    def __init__(self, file: IO[bytes]) -> None:
        """Find the end of `file`, and leave it where it is."""
        self._file = file
        here = file.tell()
        self._end = file.seek(0, 2)
        file.seek(here)

    def read(self, size: int) -> bytes:
        """At most `size` bytes."""
        return self._file.read(size if size < 1 << 16 else max(min(size, self._end - self._file.tell()), 0))

    def readline(self) -> bytes:
        """Up to the next line feed."""
        return self._file.readline()

    def tell(self) -> int:
        """How far the file has been read."""
        return self._file.tell()


def literal(name: str, argument: Any) -> Any:
    """The value that an instruction with this name and argument puts on the stack.

    Strings of Python 2 are taken for UTF-8.

    Raises:
        UnpicklingError: the instruction is not one that stands for a value, or its number is too large.
    """
    if name in _OLD_STRINGS:
        return argument.encode("latin-1").decode("utf-8")
    if name not in _LITERALS:
        raise pickle.UnpicklingError(f"the instruction {name}")
    if isinstance(argument, int) and argument.bit_length() > _BITS:
        raise pickle.UnpicklingError("a number of more than 128 bits")
    return argument


def is_key(value: Any) -> bool:
    """Whether a value may be a key: what is nested would take as long to hash as it says, and large numbers can be
    made to have equal hashes."""
    return value is None or isinstance(value, (str, bytes, float)) or (isinstance(value, int) and abs(value) < 1 << 60)
