"""What a model folder is, read off its files without loading the model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import jax

from ulmfit_jax.artifact.arrays import array_shapes
from ulmfit_jax.artifact.fields import checked_labels, checked_settings
from ulmfit_jax.artifact.folder import ENSEMBLE, read_config
from ulmfit_jax.artifact.manifest import check_manifest
from ulmfit_jax.errors import ArtifactError
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.classifier import Head


def model_summary(folder: Path) -> dict[str, Any]:
    """Kind, sizes, labels, origin and state of a model folder, also of a damaged one, as plain values.

    Returns:
        `folder`, `kind`, `format_version`, `bytes` (of all its files), `damage` (None where sizes and hashes are those
        of the manifest, otherwise a sentence), `labels` and, for an ensemble, `members`, each such a summary, and
        `ngrams`, how many there are, where a linear model over them answers too, and `settings`; for a single model
        `architecture`, `head`, `tokenizer`, `backwards`, `settings`, `provenance`, `parameters` (how many numbers are
        stored, None where they cannot be read) and `stored_as` (their types).

    Raises:
        ArtifactError: `config.json` cannot be read, or is of another format version.
    """
    config = read_config(folder)
    summary = {
        "folder": str(folder),
        "kind": config.get("kind"),
        "format_version": config["format_version"],
        "bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink()),
        "damage": _damage(folder),
    }
    try:
        return {**summary, "labels": list(checked_labels(config["labels"])), **_of_kind(folder, config)}
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        reason = " ".join(repr(error).split())[:200]
        raise ArtifactError(
            f"{folder / 'config.json'} is not what ulmfit-jax writes ({reason}): copy the model folder again"
        ) from error


def _of_kind(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """What a single model says of itself, or the members of an ensemble."""
    if config["kind"] == ENSEMBLE:
        ngrams = {}
        if "ngrams" in config:
            facts = dict(config["ngrams"])
            share = float(facts.get("networks_share", 0.5))
            ngrams = {"ngrams": int(facts["features"]), "ngrams_share": 1 - share}
        settings = {"temperature": float(config["temperature"])} if "temperature" in config else {}
        return {"members": [_member(folder, name) for name in config["members"]], **ngrams, "settings": settings}
    parameters, types = _stored_arrays(folder)
    return {
        "architecture": Architecture(**config["architecture"]).to_dict(),
        "head": None if config["head"] is None else Head.from_dict(config["head"]).to_dict(),
        "tokenizer": {"kind": config["tokenizer"]["kind"], "fingerprint": config["tokenizer"]["fingerprint"]},
        "backwards": config["backwards"],
        "settings": checked_settings(config["settings"], config["labels"]),
        "provenance": dict(config["provenance"]),
        "parameters": parameters,
        "stored_as": types,
    }


def _member(folder: Path, name: str) -> dict[str, Any]:
    member = folder / Path(name).name
    if member.parent != folder or member.resolve().parent != folder.resolve():
        raise ValueError(f"a member {name[:100]!r} outside the folder")
    summary = model_summary(member)
    if summary["kind"] == ENSEMBLE:
        raise ValueError("an ensemble of ensembles")
    return summary


def _damage(folder: Path) -> str | None:
    try:
        check_manifest(folder)
    except ArtifactError as error:
        return str(error)
    return None


def _stored_arrays(folder: Path) -> tuple[int | None, list[str]]:
    """How many numbers the trained arrays have, and of which types, without reading them."""
    try:
        arrays = jax.tree.leaves(array_shapes(folder)["parameters"])
    except (ArtifactError, KeyError):  # `damage` says what is wrong with the files
        return None, []
    return sum(math.prod(array.shape) for array in arrays), sorted({str(array.dtype) for array in arrays})
