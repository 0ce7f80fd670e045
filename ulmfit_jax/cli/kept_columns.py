"""How the texts of a model were read: kept in the model folder, so that other files can be read alike without saying it
again."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ulmfit_jax.errors import ArtifactError

READING = "reading"
"""The entry of a model's provenance."""

_COLUMNS = ("text_column", "label_column")


def reading_provenance(options: argparse.Namespace) -> dict[str, Any]:
    """What a model's provenance keeps of the options that a command was given; nothing where none was."""
    names = (*_COLUMNS, "label_separator")
    given = {name: getattr(options, name) for name in names if getattr(options, name, None) is not None}
    return {READING: given} if given else {}


def kept_columns(model: str) -> dict[str, Any]:
    """The `text_column`, `label_column` (lists of names) and `label_separator` that a model's texts were read with.

    They are those of its folder, of the first member of an ensemble, or, for the language model in a run folder, those
    of the run. Options that were not given are missing.

    Args:
        model: what names the model on the command line.

    Raises:
        ArtifactError: there is no such model.
    """
    from ulmfit_jax.pretrained import model_folder

    folder = model_folder(model)
    for place in (folder, folder / "member-0"):
        if kept := _checked(_object(_object(place, "provenance"), READING)):
            return kept
    run = folder.parents[1] / "config.json" if folder.parent.name == "language_model" else None
    return _checked(_object(run.parent, "options")) if run is not None and run.is_file() else {}


def _object(source: Path | dict[str, Any], name: str) -> dict[str, Any]:
    """An entry that is an object, of a folder's `config.json` or of an object in it; {} where there is none."""
    from ulmfit_jax.artifact.json_file import read_object

    try:
        content = read_object(source / "config.json") if isinstance(source, Path) else source
    except ArtifactError:
        return {}
    entry = content.get(name)
    return entry if isinstance(entry, dict) else {}


def _checked(found: dict[str, Any]) -> dict[str, Any]:
    """What of it can be used, as another hand may have written it."""
    kept: dict[str, Any] = {}
    for name in _COLUMNS:
        value = found.get(name)
        if isinstance(value, list) and value and all(isinstance(column, str) for column in value):
            kept[name] = value
    separator = found.get("label_separator")
    return {**kept, "label_separator": separator} if isinstance(separator, str) and separator else kept
