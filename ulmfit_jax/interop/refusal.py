"""What is said of a file that is damaged, or made to do harm."""

from __future__ import annotations

from typing import NoReturn

from ulmfit_jax.errors import ArtifactError


class ForbiddenName(Exception):
    """A pickle mentions something that is not admitted; the message is its dotted name."""


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
