"""What a run was asked to do, beside its states: a second start has to ask for the same."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ulmfit_jax.errors import ConfigError

_FINGERPRINTED = {
    "texts": "on other texts or labels",
    "data_sha256": "on other texts or labels",
    "unlabeled_sha256": "with other unlabelled texts",
    "start": "that started from another model",
    "pretrained_sha256": "that started from another model",
    "tokenizer": "with another tokeniser",
}
"""What a run is compared by as a fingerprint, which tells a reader nothing, in words."""


def write_atomically(file: Path, text: str) -> None:
    """Write a file in one step: it is there whole, or as it was before."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, "utf-8")
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def check_configuration(path: Path, config: dict[str, Any]) -> None:
    """Compare a configuration with the one that the states in the folder `path` belong to.

    Raises:
        ConfigError: they are not the same; the message names the first difference.
    """
    if (path / "config.json").exists() and _has_state(path):
        compare_configuration(path, config)


def compare_configuration(path: Path, config: dict[str, Any]) -> None:
    """Compare a configuration with the one in the folder `path`, whether or not there are states yet.

    Raises:
        ConfigError: they are not the same; the message names the first difference.
    """
    _check_same(_read(path / "config.json"), config, path)


def write_configuration(path: Path, config: dict[str, Any]) -> None:
    """Write the configuration of a run down as `config.json`.

    Raises:
        ConfigError: as `check_configuration`.
    """
    check_configuration(path, config)
    write_atomically(path / "config.json", json.dumps(config, indent=2) + "\n")


def _has_state(path: Path) -> bool:
    """Whether a state is saved there; one that was not committed has a longer name."""
    states = path / "state"
    return states.is_dir() and any(child.name.isdecimal() for child in states.iterdir())


def _read(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text("utf-8")))
    except ValueError as error:
        raise ConfigError(f"{file} is damaged ({error}): choose another folder for the run") from error


def _check_same(stored: dict[str, Any], asked: dict[str, Any], path: Path) -> None:
    stored, asked = _named_values(stored), _named_values(asked)
    for name in sorted(stored.keys() | asked.keys()):
        if stored.get(name) != asked.get(name):
            found = _FINGERPRINTED.get(name)
            difference = (
                f"{path} holds a run {found}"
                if found
                else f"{path} holds a run with {name} = {stored.get(name)!r}, but {asked.get(name)!r} is asked for now"
            )
            raise ConfigError(f"{difference}: choose another folder, or the same options to go on with that run")


def _named_values(value: Any, name: str = "") -> dict[str, Any]:
    """The values of nested dictionaries and lists by their place, `stages.0.epochs`."""
    if not isinstance(value, (dict, list)):
        return {name: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    values: dict[str, Any] = {}
    for key, entry in items:
        values |= _named_values(entry, f"{name}.{key}" if name else str(key))
    return values
