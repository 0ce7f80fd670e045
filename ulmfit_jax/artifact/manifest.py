"""The manifest of a model folder: size and SHA-256 of every file, checked before anything is read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ulmfit_jax.errors import ArtifactError

MANIFEST = "manifest.json"


def write_manifest(folder: Path) -> None:
    """Write `manifest.json` over all files that are in the folder now."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST)
    entries = {
        path.relative_to(folder).as_posix(): {"size": path.stat().st_size, "sha256": _digest(path)} for path in files
    }
    (folder / MANIFEST).write_text(json.dumps({"files": entries}, indent=2) + "\n", "utf-8")


def check_manifest(folder: Path) -> None:
    """Compare the folder with its manifest; sizes first, so that nothing large is read in vain.

    Raises:
        ArtifactError: names the first file that is missing, truncated or altered.
    """
    entries = _read(folder)
    for name, entry in entries.items():
        path = folder / name
        if Path(name).is_absolute() or ".." in Path(name).parts or not path.resolve().is_relative_to(folder.resolve()):
            raise ArtifactError(
                f"{folder / MANIFEST} names the file {name!r} outside the folder: do not use this model"
            )
        if not path.is_file():
            raise ArtifactError(f"{path} is missing: copy the whole model folder again")
        if path.stat().st_size != entry["size"]:
            raise ArtifactError(
                f"{path} has {path.stat().st_size} bytes where {entry['size']} were saved: copy the model folder again"
            )
    for name, entry in entries.items():
        if _digest(folder / name) != entry["sha256"]:
            raise ArtifactError(
                f"{folder / name} is not what was saved (its SHA-256 differs): copy the model folder again"
            )


def own_files(folder: Path) -> set[str]:
    """The manifest and the files that it lists, there or not; none where there is no manifest of a model."""
    try:
        return {MANIFEST, *_read(folder)}
    except ArtifactError:
        return set()


def _read(folder: Path) -> dict[str, dict[str, object]]:
    path = folder / MANIFEST
    if not path.is_file():
        raise ArtifactError(f"{folder} has no {MANIFEST}: it is not a model folder, or not a whole one")
    try:
        entries = json.loads(path.read_text("utf-8"))["files"]
        return {str(name): {"size": int(e["size"]), "sha256": str(e["sha256"])} for name, e in entries.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ArtifactError(f"{path} cannot be read ({error}): copy the model folder again") from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
