"""A model's arrays as a safetensors file, which many libraries and languages read, and back again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ulmfit_jax.artifact import Artifact
from ulmfit_jax.artifact.folder import assembled_artifact
from ulmfit_jax.errors import ArtifactError, ConfigError
from ulmfit_jax.interop.new_files import holds, write_new
from ulmfit_jax.interop.tokenizer_files import tokenizer_folder, tokenizer_writers
from ulmfit_jax.nn.parameters import flatten, unflatten
from ulmfit_jax.text.tokenizer import load_tokenizer

SUFFIX = ".safetensors"

_CONFIG, _STATISTICS = "config", "statistics"
"""Entries of the file's metadata, both JSON: `config.json` of a model folder, and the names of the arrays that are
running statistics rather than parameters."""


def export_safetensors(artifact: Artifact, file: str | Path) -> list[Path]:
    """Write `NAME.safetensors` and, beside it, the tokeniser in `NAME_tokenizer/`.

    Arrays have the names and shapes of the model folder, `encoder/lstm_0/input_kernel`, and are float32. The metadata
    holds the configuration as JSON under `config`.

    Args:
        artifact: a model of any kind.
        file: the place of the `.safetensors` file.

    Returns:
        The files written.

    Raises:
        ConfigError: safetensors is not installed, or the name has another ending.
        ArtifactError: one of the files exists already or cannot be written.
    """
    numpy = _safetensors_numpy()
    file = Path(file)
    if file.suffix != SUFFIX:
        raise ConfigError(f"{file} is no name of a safetensors file: give one that ends in {SUFFIX}")
    statistics = flatten(artifact.statistics)
    arrays = {name: np.ascontiguousarray(array) for name, array in (flatten(artifact.parameters) | statistics).items()}
    metadata = {_CONFIG: json.dumps(artifact.config()), _STATISTICS: json.dumps(sorted(statistics))}
    writers = {file: holds(numpy.save(arrays, metadata)), **tokenizer_writers(artifact.tokenizer, file)}
    write_new(writers)
    return list(writers)


def import_safetensors(file: str | Path) -> Artifact:
    """The model that `export_safetensors` wrote, its tokeniser beside it; nothing in the files is executed.

    Raises:
        ConfigError: safetensors is not installed.
        ArtifactError: a file is missing, damaged, of another origin, or does not belong to the others.
    """
    _safetensors_numpy()
    from safetensors import SafetensorError, safe_open

    file = Path(file)
    try:
        with safe_open(file, framework="numpy") as content:
            metadata = content.metadata() or {}
            leaves = {name: content.get_tensor(name).astype(np.float32) for name in content.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, TypeError) as error:  # NumPy lacks some of the format's types
        raise ArtifactError(f"{file} cannot be read as safetensors ({error}): copy it again") from error
    try:
        config, statistics = dict(json.loads(metadata[_CONFIG])), set(json.loads(metadata[_STATISTICS]))
        kinds = {"parameters": leaves.keys() - statistics, "statistics": leaves.keys() & statistics}
        arrays = {kind: unflatten({name: leaves[name] for name in sorted(names)}) for kind, names in kinds.items()}
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ArtifactError(
            f"{file} was not written by ulmfit export: only its files say which model the arrays belong to"
        ) from error
    return assembled_artifact(config, load_tokenizer(tokenizer_folder(file)), arrays, file)


def _safetensors_numpy() -> Any:
    try:
        from safetensors import numpy
    except ImportError as error:
        raise ConfigError(
            "a safetensors file needs the package safetensors: "
            "install it with pip install '.[export]' in the folder of ulmfit-jax"
        ) from error
    return numpy
