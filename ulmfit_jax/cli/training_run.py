"""The folder of a training command: what was asked, the model and the report, beside the library's training states.

config.json      the command and its options; written when training starts
ulmfit.toml      the same options for `--config`
language_model/  tokens and states of the language model; classifier/, tokens/: of the classifier; further_training/:
                 of one that learns on
compiled/        programs, so that a start that goes on compiles nothing again; may be deleted
model/           the model folder, once training is finished
report.json      the results, and the options and texts that they belong to
report.html      the same and more as a page for people; of `train` alone
seed-0/, …       with `--seeds`: such a folder for each seed, beside config.json and the report over all of them
forward/, …      with `--both-directions`: such a folder for each direction, beside the model of both
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ulmfit_jax
from ulmfit_jax.cli.configuration import configuration_text
from ulmfit_jax.cli.console import note, plain
from ulmfit_jax.errors import ConfigError, UlmfitError

COMMANDS = ("train", "train --seeds", "train --both-directions", "pretrain", "finetune-lm", "learn")
_FIRST_FILES = {"config.json", "ulmfit.toml"}


class TrainingRun:
    """One folder, one run of a command that trains, or the runs of `ulmfit train --seeds`."""

    def __init__(self, folder: str, command: str, configuration: dict[str, Any]):
        """Look at the folder; nothing is written.

        Args:
            folder: its place, which need not exist.
            command: one of `COMMANDS`.
            configuration: plain values that decide the result: options, and fingerprints of texts and models.

        Raises:
            ConfigError: the place holds something else.
        """
        self.folder, self._command = Path(folder), command
        self._configuration = plain(configuration)
        self.model, self.page = self.folder / "model", self.folder / "report.html"
        self._check_place()

    def finished_report(self) -> dict[str, Any] | None:
        """The report of the finished run of this configuration, of which a note tells; None where there is none."""
        if not (self.model / "manifest.json").is_file():
            return None
        report = {**_read_json(self.folder / "report.json"), "model": str(self.model)}  # the folder may have been moved
        if report.pop("configuration", None) != self._configuration:
            note(f"{self.model} is of other options or texts: it stays until the one asked for now is ready")
            return None
        note(f"{self.folder} holds the finished run of this command: nothing is trained again")
        return report

    def refuse_others(self, names: dict[str, str]) -> None:
        """Refuse a folder with the finished run of another configuration.

        Args:
            names: what a person calls the entries of the configuration that are no options.

        Raises:
            ConfigError: it names what differs.
        """
        if not (self.model / "manifest.json").is_file():
            return
        found = _read_json(self.folder / "report.json").get("configuration", self._configuration)
        differing = [name for name, value in self._configuration.items() if found.get(name) != value]
        if differing:
            said = ", ".join(names.get(name, f"--{name.replace('_', '-')}") for name in differing)
            raise ConfigError(
                f"--out {self.folder} holds the finished run of another {said}: choose another folder; nothing there "
                "was changed"
            )

    @contextlib.contextmanager
    def training(self, options: argparse.Namespace) -> Iterator[None]:
        """While this lasts, the library trains; the options are kept in `config.json` and `ulmfit.toml`.

        They are those of the first start until one has ended that was given others, such as n-grams beside the network
        that it found there. A start that is refused before anything is trained leaves no folder behind.
        """
        is_new = not self.folder.exists()
        self._begin(options)
        try:
            yield
            self._keep_options(options)
        except UlmfitError:
            if is_new and _is_first() and {path.name for path in self.folder.iterdir()} <= _FIRST_FILES:
                for name in _FIRST_FILES:
                    (self.folder / name).unlink(missing_ok=True)
                self.folder.rmdir()
            raise

    def _begin(self, options: argparse.Namespace) -> None:
        if not _is_first():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if not all((self.folder / name).exists() for name in _FIRST_FILES):
            self._keep_options(options)

    def _keep_options(self, options: argparse.Namespace) -> None:
        if not _is_first():
            return
        given = {name: value for name, value in vars(options).items() if name != "run"}
        config = {"command": self._command, "ulmfit_jax": ulmfit_jax.__version__, "options": given}
        _write_json(self.folder / "config.json", config)
        _write(self.folder / "ulmfit.toml", configuration_text(self._command.split()[0], options))

    def write_report(self, report: dict[str, Any]) -> None:
        """Write `report.json` in one step; a page that shows other results is removed."""
        if _is_first():
            self.page.unlink(missing_ok=True)
            _write_json(self.folder / "report.json", {**report, "configuration": self._configuration})

    def _check_place(self) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise ConfigError(f"--out {self.folder} is a file: give a folder, which is made if it does not exist")
        if not self.folder.is_dir() or all(path.name.startswith(".config.json.") for path in self.folder.iterdir()):
            return  # at most what a start left that was killed in its first moment
        found = _read_json(self.folder / "config.json").get("command")
        if found != self._command:
            what = f"a run of ulmfit {found}" if found in COMMANDS else "something that is no training run"
            raise ConfigError(f"--out {self.folder} holds {what}: give another folder, nothing there was changed")


def holds_states(folder: str) -> bool:
    """Whether a training state is saved in a run folder, or in one of the folders of its runs."""
    from ulmfit_jax.training.run_configuration import has_state

    return any(has_state(place.parent) for depth in ("*/state", "*/*/state") for place in Path(folder).glob(depth))


def _is_first() -> bool:
    """Whether this process writes; asking imports JAX."""
    from ulmfit_jax.training.processes import is_first

    return is_first()


def model_fingerprint(name: str) -> str | None:
    """What tells a pretrained model from another one of the same name; None for `none`.

    Raises:
        ArtifactError: there is no such model.
    """
    from ulmfit_jax.pretrained import model_folder

    if name == "none":
        return None
    return hashlib.sha256((model_folder(name) / "manifest.json").read_bytes()).hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a file, {} where there is none."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _write_json(path: Path, value: dict[str, Any]) -> None:
    _write(path, json.dumps(plain(value), indent=2) + "\n")


def _write(path: Path, text: str) -> None:
    """Write a file in one step; of a path that is not UTF-8, what can be read."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, "utf-8", errors="replace")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
