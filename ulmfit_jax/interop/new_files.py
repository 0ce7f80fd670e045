"""Writing several files that belong together: all of them or none, and nothing overwritten."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from ulmfit_jax.errors import ArtifactError

Writer = Callable[[IO[bytes]], object]
"""Writes one file's content."""


def write_new(writers: Mapping[Path, Writer]) -> None:
    """Write all files under other names first, so that a failure leaves none of them behind.

    Folders that are missing are made.

    Raises:
        ArtifactError: one of the files exists already or cannot be written.
    """
    for path in writers:
        if path.exists():
            raise ArtifactError(f"{path} exists already: choose another name, nothing was overwritten")
    new = {path: path.with_name(f".{path.name}.{os.getpid()}.new") for path in writers}
    try:
        for path, write in writers.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with new[path].open("wb") as file:
                write(file)
        for path, temporary in new.items():
            temporary.replace(path)
    except (OSError, RuntimeError) as error:  # torch reports a failed write as a RuntimeError
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:150]
        raise ArtifactError(f"{next(iter(writers))} cannot be written ({reason}): choose another place") from error
    finally:
        for temporary in new.values():
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def holds(content: bytes) -> Writer:
    """A writer of these bytes."""
    return lambda file: file.write(content)
