"""The manifest of a model folder: size and SHA-256 of every file, checked before anything is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from ulmfit_jax.artifact.json_file import read_object
from ulmfit_jax.errors import ArtifactError

MANIFEST = "manifest.json"

Entries = dict[str, tuple[int, str]]
"""Size in bytes and SHA-256 by the name of the file."""


def write_manifest(folder: Path) -> None:
    """Write `manifest.json` over all files that are in the folder now."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST)
    entries = {
        path.relative_to(folder).as_posix(): {"size": path.stat().st_size, "sha256": _digest(path)} for path in files
    }
    (folder / MANIFEST).write_text(json.dumps({"files": entries}, indent=2) + "\n", "utf-8")


def check_manifest(folder: Path, needed: Iterable[str] = ()) -> None:
    """Compare the folder with its manifest; sizes first, so that nothing large is read in vain.

    Args:
        folder: the model folder.
        needed: files that the manifest has to list; where it ends with `/`, all files in this folder, at least one.

    Raises:
        ArtifactError: names the first file that is missing, truncated, altered or not listed.
    """
    entries = _read(folder)
    for name, (size, _) in entries.items():
        _check_size(folder, name, size)
    _check_listed(folder, needed, entries)
    for name, (_, sha256) in entries.items():
        if _digest(folder / name) != sha256:
            raise ArtifactError(
                f"{folder / name} is not what was saved (its SHA-256 differs): copy the model folder again"
            )


def check_listed(folder: Path, needed: Iterable[str]) -> None:
    """Check that the manifest lists files; `needed` and errors as for `check_manifest`."""
    _check_listed(folder, needed, _read(folder))


def own_files(folder: Path) -> set[str]:
    """The manifest and the files that it lists, there or not; none where there is no manifest of a model."""
    try:
        return {MANIFEST, *_read(folder)}
    except ArtifactError:
        return set()


def _check_size(folder: Path, name: str, size: int) -> None:
    path = folder / name
    if not name.isprintable() or len(name) > 1000:
        raise ArtifactError(
            f"{folder / MANIFEST} names the file {name[:100]!r}, which no model has: do not use this model"
        )
    try:
        inside = path.resolve().is_relative_to(folder.resolve()) and ".." not in Path(name).parts
        found = path.stat().st_size if inside and path.is_file() else None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ArtifactError(
            f"{folder}: the file {name[:100]!r} cannot be read ({reason}): copy the model folder again"
        ) from error
    except (ValueError, RuntimeError):  # not whole Unicode, or links in a circle
        inside = False
    if not inside or Path(name).is_absolute():
        raise ArtifactError(
            f"{folder / MANIFEST} names the file {name[:100]!r} outside the folder: do not use this model"
        )
    if found is None:
        raise ArtifactError(f"{path} is missing: copy the whole model folder again")
    if found != size:
        raise ArtifactError(f"{path} has {found} bytes where {size} were saved: copy the model folder again")


def _check_listed(folder: Path, needed: Iterable[str], entries: Entries) -> None:
    for name in needed:
        wanted = {name}
        if name.endswith("/"):
            files = (path for path in (folder / name).rglob("*") if path.is_symlink() or not path.is_dir())
            wanted = {path.relative_to(folder).as_posix() for path in files} or {name}
        if not wanted <= entries.keys():
            missing = folder / min(wanted - entries.keys())
            raise ArtifactError(
                f"{missing} is not in {MANIFEST}, so nothing vouches for it: copy the model folder again"
            )


def _read(folder: Path) -> Entries:
    path = folder / MANIFEST
    if not path.is_file():
        raise ArtifactError(f"{folder} has no {MANIFEST}: it is not a model folder, or not a whole one")
    content = read_object(path)
    try:
        entries = content["files"]
        return {str(name): (int(entry["size"]), str(entry["sha256"])) for name, entry in entries.items()}
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        reason = " ".join(str(error).split())[:100]
        raise ArtifactError(f"{path} cannot be read ({reason}): copy the model folder again") from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
