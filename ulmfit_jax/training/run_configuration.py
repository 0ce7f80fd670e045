"""What a run was asked to do, beside its states: a second start has to ask for the same."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ulmfit_jax.errors import ConfigError

_FINGERPRINTED = {
    "texts": "on other texts or labels",
    "labels": "on other texts or labels",
    "data_sha256": "on other texts or labels",
    "unlabeled_sha256": "with other unlabelled texts",
    "valid_texts": "measured on other texts",
    "start": "that started from another model",
    "pretrained_sha256": "that started from another model",
    "tokenizer": "with another tokeniser",
}
"""What a run is compared by as a fingerprint, which tells a reader nothing, in words; causes of other differences, so
that they are looked at first."""

_COUNTS = ("documents", "validation_documents")
_SETTINGS = "settings."


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
    if (path / "config.json").exists() and has_state(path):
        compare_configuration(path, config)


def compare_configuration(path: Path, config: dict[str, Any]) -> None:
    """Compare a configuration with the one in the folder `path`, whether or not there are states yet.

    Raises:
        ConfigError: they are not the same; the message names the first difference.
    """
    _refuse(_difference(_read(path / "config.json"), config), path)


def check_part(path: Path, part: dict[str, Any]) -> None:
    """Compare what is known so far of a configuration with the one that the states in the folder `path` belong to.

    Args:
        path: the folder.
        part: some of the entries of a configuration, plain values.

    Raises:
        ConfigError: they are not the same; the message names the first difference.
    """
    if (path / "config.json").exists() and has_state(path):
        stored, part = _read(path / "config.json"), json.loads(json.dumps(part))
        _refuse(_difference({name: value for name, value in stored.items() if name in part}, part), path)


def write_configuration(path: Path, config: dict[str, Any]) -> None:
    """Write the configuration of a run down as `config.json`.

    Raises:
        ConfigError: as `check_configuration`.
    """
    check_configuration(path, config)
    write_atomically(path / "config.json", json.dumps(config, indent=2) + "\n")


def has_state(path: Path) -> bool:
    """Whether a state is saved there; one that was not committed has a longer name."""
    states = path / "state"
    return states.is_dir() and any(child.name.isdecimal() for child in states.iterdir())


def _read(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text("utf-8")))
    except ValueError as error:
        raise ConfigError(f"{file} is damaged ({error}): choose another folder for the run") from error


def _refuse(difference: str | None, path: Path) -> None:
    if difference is not None:
        raise ConfigError(
            f"{path} holds a run {difference}: choose another folder, or the same options to go on with that run"
        )


def _difference(stored: dict[str, Any], asked: dict[str, Any]) -> str | None:
    """The first difference as a part of a sentence, by the names that a user has given; a cause before what follows
    from it. None where there is none."""
    for name, said in _FINGERPRINTED.items():
        if stored.get(name) != asked.get(name):
            return said + _other_count(stored, asked)
    if any(stored.get(name) != asked.get(name) for name in _COUNTS):
        found, wanted = (" and ".join(map(str, map(one.get, _COUNTS))) for one in (stored, asked))
        return f"with {found} texts to train and to measure on, but {wanted} are asked for now (validation_fraction)"
    if difference := _other_stage(stored.get("stages") or [], asked.get("stages") or []):
        return difference
    before, now = _named_values(stored), _named_values(asked)
    for name in sorted(before.keys() | now.keys(), key=lambda name: (not name.startswith(_SETTINGS), name)):
        if before.get(name) != now.get(name):
            option = name.removeprefix(_SETTINGS)
            then = f"with {option} = {before[name]!r}" if name in before else f"without {option}"
            today = repr(now[name]) if name in now else "none"
            return f"{then}, but {today} is asked for now"
    return None


def _other_count(stored: dict[str, Any], asked: dict[str, Any]) -> str:
    """How many texts there were and are, where that has changed."""
    counts = [[one[name] for name in _COUNTS if isinstance(one.get(name), int)] for one in (stored, asked)]
    then, today = map(sum, counts)
    return f" ({then} labelled texts then, {today} now)" if then != today else ""


def _other_stage(stored: list[dict[str, Any]], asked: list[dict[str, Any]]) -> str | None:
    """What is not the same of the stages, epochs first."""
    before, now = (", ".join(f"{stage['name']} {stage['epochs']}" for stage in one) for one in (stored, asked))
    if before != now:
        return f"whose stages have the epochs {before}, but {now} are asked for now"
    for stage, other in zip(stored, asked, strict=True):
        for name in sorted(stage.keys() | other.keys()):
            if stage.get(name) != other.get(name):
                what = f"{name.replace('_', ' ')} of stage {stage['name']}"
                return f"with the {what} {stage.get(name)!r}, but {other.get(name)!r} is asked for now"
    return None


def _named_values(value: Any, name: str = "") -> dict[str, Any]:
    """The values of nested dictionaries and lists by their place, `stages.0.epochs`."""
    if not isinstance(value, (dict, list)):
        return {name: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    values: dict[str, Any] = {}
    for key, entry in items:
        values |= _named_values(entry, f"{name}.{key}" if name else str(key))
    return values
