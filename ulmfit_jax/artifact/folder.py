"""A model as one folder: configuration, tokeniser, parameters, card. No pickles.

config.json       format version, kind, architecture, labels, direction, provenance
tokenizer.json    and the tokeniser's own file
parameters/       Orbax, NumPy arrays: they restore on any device count
README.md         the model card
manifest.json     size and SHA-256 of each file
"""

from __future__ import annotations

import json
import reprlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

import ulmfit_jax
from ulmfit_jax.artifact.arrays import array_shapes, read_arrays, write_arrays
from ulmfit_jax.artifact.card import model_card
from ulmfit_jax.artifact.fields import LARGEST_SIZE, checked_labels, checked_settings
from ulmfit_jax.artifact.json_file import read_object
from ulmfit_jax.artifact.manifest import check_listed, check_manifest, write_manifest
from ulmfit_jax.artifact.place import written_whole
from ulmfit_jax.errors import ArtifactError, ConfigError
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.parameters import ModuleDefinition, Tree
from ulmfit_jax.pretrained import language_models_of
from ulmfit_jax.text.tokenizer import Tokenizer, load_tokenizer
from ulmfit_jax.training.classifier import classifier_definition
from ulmfit_jax.training.language_model import language_model_definition
from ulmfit_jax.training.processes import is_first

FORMAT_VERSION = 1
KINDS = ("language_model", "classifier", "encoder")
ENSEMBLE = "ensemble"
"""The kind of a folder of several classifiers (`ulmfit_jax.ensemble`), which is no single model."""


@dataclass(frozen=True)
class Artifact:
    """A model and everything that is needed to use it.

    Attributes:
        kind: `language_model`, `classifier` or `encoder` (a language model without its decoder).
        architecture: sizes of the encoder.
        tokenizer: makes the ids that the model was trained on.
        parameters: nested dictionary of NumPy arrays.
        statistics: running means of batch normalisation; empty but for a classifier.
        labels: names of the classes in the order of the outputs; empty but for a classifier.
        head: sizes of a classifier's head.
        backwards: the model reads documents from their end.
        settings: what else using it depends on (`bptt`, `max_length`), and `label_type`, `int` or `bool`, where the
            labels were given as these, and `temperature` of a calibrated classifier.
        provenance: how it came about: recipe, data, metrics, time; plain values for the card.
    """

    kind: str
    architecture: Architecture
    tokenizer: Tokenizer
    parameters: Tree = field(repr=False)
    statistics: Tree = field(default_factory=dict, repr=False)
    labels: tuple[str, ...] = ()
    head: Head | None = None
    backwards: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def temperature(self) -> float:
        """What a classifier's scores are divided by before they become probabilities; 1 unless it was calibrated."""
        return float(self.settings.get("temperature", 1.0))

    @property
    def multi_label(self) -> bool:
        """Whether a classifier's texts may have several of its labels, or none."""
        return self.head is not None and self.head.multi_label

    def config(self) -> dict[str, Any]:
        """What `config.json` says."""
        return {
            "format_version": FORMAT_VERSION,
            "kind": self.kind,
            "architecture": self.architecture.to_dict(),
            "head": self.head.to_dict() if self.head else None,
            "labels": list(self.labels),
            "backwards": self.backwards,
            "tokenizer": {"kind": self.tokenizer.kind, "fingerprint": self.tokenizer.fingerprint()},
            "settings": self.settings,
            "provenance": {"ulmfit_jax": ulmfit_jax.__version__, **self.provenance},
        }


def save_artifact(
    artifact: Artifact, folder: Path, half_precision: bool = False, mantissa_bits: int | None = None
) -> None:
    """Write a model folder: built beside its place and then renamed, so that a failure leaves what was there.

    Args:
        artifact: the model.
        folder: its place; a model folder there is replaced, but nothing that holds another file.
        half_precision: store float16 instead of float32, half the size.
        mantissa_bits: round matrices to so many bits of mantissa, 1 to 23, of which compression makes a smaller folder.

    In a run of several processes the first one writes, and nobody waits for it (`ulmfit_jax.training.processes`).

    Raises:
        ArtifactError: the place holds something that is not a model folder, or cannot be written.
        ConfigError: there is no such number of bits.
    """
    if mantissa_bits is not None and not 1 <= mantissa_bits <= 23:
        raise ConfigError(f"mantissa_bits is {mantissa_bits!r}: give a number from 1 to 23, or None")
    if not is_first():
        return
    folder = Path(folder)
    with written_whole(folder) as temporary:
        dtype = np.float16 if half_precision else np.float32
        write_arrays(artifact.parameters, artifact.statistics, temporary, dtype, mantissa_bits)
        _write_the_rest(artifact, folder.name, temporary)


def _write_the_rest(artifact: Artifact, name: str, folder: Path) -> None:
    artifact.tokenizer.save(folder)
    config = artifact.config()
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    (folder / "README.md").write_text(model_card(name, config), "utf-8")
    write_manifest(folder)


def load_artifact(folder: Path, kind: str | None = None) -> Artifact:
    """Read a model folder: sizes and hashes are checked first, then names and shapes, and only then are arrays read.

    Nothing in it is executed, no file outside of it is read, and memory is bounded by the size of its files.

    Args:
        folder: the model folder.
        kind: the kind it has to be of; None takes any.

    Raises:
        ArtifactError: missing, damaged, of another kind or format version, or arrays that do not fit; says what to do.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ArtifactError(f"there is no model folder {folder}: give the folder that a training run wrote")
    check_manifest(folder, ("config.json",))
    config = read_config(folder)
    _check_kind(config, kind, folder)
    check_listed(folder, ("tokenizer.json", "parameters/"))
    artifact = assembled_artifact(config, load_tokenizer(folder), array_shapes(folder), folder)
    arrays = read_arrays(folder)
    return replace(artifact, parameters=arrays["parameters"], statistics=arrays.get("statistics", {}))


def assembled_artifact(config: dict[str, Any], tokenizer: Tokenizer, arrays: Tree, source: Path) -> Artifact:
    """A model from what was saved of it, wherever that was: every field, name and shape is checked.

    Args:
        config: what `Artifact.config` gave.
        tokenizer: the model's own.
        arrays: `{"parameters": …, "statistics": …}`, nested dictionaries of arrays, or of their shapes alone; no
            statistics: none.
        source: the file or folder, for messages.

    Raises:
        ArtifactError: another kind or format version, or parts that do not belong together.
    """
    _check_version(config, source)
    _check_kind(config, None, source)
    artifact = _assemble(config, tokenizer, arrays, source)
    _check_fit(artifact, len(jax.tree.leaves(arrays)), source)
    return artifact


def read_config(folder: Path) -> dict[str, Any]:
    """What the `config.json` of a model folder says, of any kind, an ensemble too.

    Raises:
        ArtifactError: it cannot be read, or is of another format version.
    """
    config = read_object(folder / "config.json")
    _check_version(config, folder)
    return config


def _check_version(config: dict[str, Any], source: Path) -> None:
    version = config.get("format_version")
    if version != FORMAT_VERSION:
        raise ArtifactError(
            f"{source} has the format version {reprlib.repr(version)}, this version of ulmfit-jax reads "
            f"{FORMAT_VERSION}: install the version of ulmfit-jax that wrote it"
        )


def _check_kind(config: dict[str, Any], kind: str | None, folder: Path) -> None:
    if config.get("kind") == ENSEMBLE:
        needed, where = "a single model", f"give one of its members, such as {folder / 'member-0'}"
        where += ", which answers alone, without other members or n-grams (in Python load_classifier reads all of it)"
        if kind == "language_model":
            needed, where = "a language model", _language_models(folder) or "give the folder of one"
        raise ArtifactError(f"{folder} holds an ensemble of classifiers, but {needed} is needed here: {where}")
    if config.get("kind") not in KINDS:
        raise ArtifactError(f"{folder} holds a {reprlib.repr(config.get('kind'))}, which is not a model of ulmfit-jax")
    if kind is not None and config["kind"] != kind:
        where = {
            "language_model": "give the folder of one, such as language_model in the folder of a training run",
            "classifier": "give the folder of one, such as that of a run of ulmfit train",
        }.get(kind, "give the folder of one")
        if kind == "language_model":
            where = _language_models(folder) or where
        raise ArtifactError(f"{folder} holds {_spoken(config['kind'])}, but {_spoken(kind)} is needed here: {where}")


def _language_models(folder: Path) -> str | None:
    """What to give instead of a classifier in a run folder where a language model is needed; None: there is none."""
    found = [str(place) for place in language_models_of(folder)]
    return f"give {' or '.join(found)}" if found else None


def _spoken(kind: str) -> str:
    return f"{'an' if kind == 'encoder' else 'a'} {kind.replace('_', ' ')}"


def _assemble(config: dict[str, Any], tokenizer: Tokenizer, arrays: Tree, folder: Path) -> Artifact:
    try:
        if tokenizer.fingerprint() != config["tokenizer"]["fingerprint"]:
            raise ArtifactError(
                f"{folder}: the tokeniser is not the one that the model was trained with: copy the folder again"
            )
        return Artifact(
            kind=config["kind"],
            architecture=Architecture(**config["architecture"]),
            tokenizer=tokenizer,
            parameters=arrays["parameters"],
            statistics=arrays.get("statistics", {}),
            labels=checked_labels(config["labels"]),
            head=Head.from_dict(config["head"]) if config["head"] else None,
            backwards=bool(config["backwards"]),
            settings=checked_settings(config["settings"], config["labels"]),
            provenance=dict(config["provenance"]),
        )
    except ArtifactError:
        raise
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        reason = " ".join(repr(error).split())[:200]
        whole = "the model folder" if folder.is_dir() else "it"
        raise ArtifactError(
            f"{_config_place(folder)} is not what ulmfit-jax writes ({reason}): copy {whole} again"
        ) from error


def _config_place(source: Path) -> Path:
    return source / "config.json" if source.is_dir() else source


def _check_fit(artifact: Artifact, n_arrays: int, folder: Path) -> None:
    """Compare the shapes with the network of these sizes, which is not even described if it is absurdly large."""
    definition: ModuleDefinition
    parameters = artifact.parameters
    sizes, hidden = artifact.architecture, artifact.head.hidden if artifact.head else ()
    if max(sizes.n_layers, len(hidden)) > n_arrays or max(*vars(sizes).values(), *hidden) > LARGEST_SIZE:
        raise ArtifactError(f"{_config_place(folder)} has sizes that no network has: do not use this model")
    if artifact.kind == "classifier":
        if artifact.head is None or len(artifact.labels) != artifact.head.n_classes:
            raise ArtifactError(
                f"{folder}: the number of labels is not that of the head's outputs: copy the folder again"
            )
        definition = classifier_definition(artifact.architecture, artifact.head)
    else:
        definition = language_model_definition(artifact.architecture)
        if artifact.kind == "encoder":
            bias = np.zeros((artifact.architecture.vocabulary_size,), np.float32)
            parameters = {**parameters, "decoder": {"bias": bias}}
    definition.check(parameters, artifact.statistics, str(folder))
    if len(artifact.tokenizer.vocabulary) != artifact.architecture.vocabulary_size:
        raise ArtifactError(
            f"{folder}: the tokeniser has {len(artifact.tokenizer.vocabulary)} entries and the embedding "
            f"{artifact.architecture.vocabulary_size} rows; they do not belong together"
        )
