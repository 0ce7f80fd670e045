"""Pickles read as data: a file may name a few functions, which stand-ins here replace, and everything else is refused.

An ordinary unpickler imports and calls whatever the file names, so that a file can run any program. Here a file can
call nothing but the stand-ins of a table that the caller gives.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from typing import IO, Any, NoReturn

from ulmfit_jax.errors import ArtifactError

Admitted = Mapping[tuple[str, str], Any]
"""What stands in for each (module, name) that a pickle may mention."""


class ForbiddenName(Exception):
    """A pickle mentions something that is not admitted; the message is its dotted name."""


class Ignored:
    """Stands in for objects that may occur but are of no interest, such as an optimiser's numbers."""

    def __init__(self, *arguments: Any) -> None:
        """Take whatever the pickle passes, and keep nothing."""

    def __setstate__(self, state: Any) -> None:
        """Take whatever the pickle passes, and keep nothing."""


class RestrictedUnpickler(pickle.Unpickler):
    """Unpickles lists, dictionaries, tuples, strings and numbers, and what `admitted` stands in for.

    Args:
        file: open for reading bytes; it is left behind the pickle's end.
        admitted: the stand-ins.
        persistent: makes an object of a persistent id, which is how torch's files name their storages.
    """

    def __init__(self, file: IO[bytes], admitted: Admitted, persistent: Callable[[Any], Any] | None = None) -> None:
        super().__init__(file, encoding="utf-8")
        self._admitted, self._persistent = admitted, persistent

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for what the pickle names; nothing is ever imported."""
        if (module, name) not in self._admitted:
            raise ForbiddenName(f"{module}.{name}")
        return self._admitted[module, name]

    def persistent_load(self, key: Any) -> Any:
        """The object of a persistent id."""
        if self._persistent is None:
            raise pickle.UnpicklingError("a persistent id")
        return self._persistent(key)


def refuse(error: Exception, path: object, instead: str) -> NoReturn:
    """Turn whatever went wrong while a pickle was read into one sentence.

    Args:
        error: what was raised; a damaged or made-up file can raise nearly anything.
        path: the file.
        instead: what a good file would be.

    Raises:
        ArtifactError: always.
    """
    if isinstance(error, ArtifactError):
        raise error
    if isinstance(error, ForbiddenName):
        raise ArtifactError(
            f"{path} names {error}, which could run code and was not touched: use {instead}, from a source you trust"
        ) from error
    reason = " ".join(str(error).split())[:100] or type(error).__name__
    raise ArtifactError(f"{path} cannot be read ({reason}): it is damaged, or not {instead}") from error
