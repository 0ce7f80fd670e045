"""The files below a folder, however deep, and however its links lead back into it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ulmfit_jax.errors import DataError


def files_below(folder: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    """The files at any depth below a folder, sorted by their paths; names that begin with a dot are left out.

    Links to folders are followed, but each folder is read once: a link back to a folder above leads nowhere.

    Args:
        folder: where to look.
        wanted: whether a file is to be in the list.

    Raises:
        DataError: a folder cannot be read.
    """
    found: list[Path] = []
    waiting, seen = [folder], set[tuple[int, int]]()
    while waiting:
        place = waiting.pop()
        try:
            identity = place.stat()
            if (identity.st_dev, identity.st_ino) in seen:
                continue
            seen.add((identity.st_dev, identity.st_ino))
            with os.scandir(place) as entries:
                children = [(place / entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            raise DataError(
                f"{place} cannot be read ({error.strerror or error}); give a folder all of which can be read."
            ) from error
        # The last is read first: in the order of the names, so that of two links to a folder the first one counts.
        waiting += sorted((child for child, is_folder in children if is_folder), reverse=True)
        found += [child for child, is_folder in children if not is_folder and wanted(child) and child.is_file()]
    return sorted(found)
