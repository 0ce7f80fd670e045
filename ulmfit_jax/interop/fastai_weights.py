"""fastai's state dictionaries as parameters of this package: by name, every shape checked, every stray name named."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ulmfit_jax.errors import ArtifactError
from ulmfit_jax.interop.fastai_names import (
    DECODER_BIAS,
    DECODER_COPY,
    EMBEDDING,
    EMBEDDING_COPIES,
    Place,
    layer_names,
    without_duplicates,
)
from ulmfit_jax.interop.torch_file import Tensor, TorchFile, read_torch_file
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.parameters import Tree, unflatten

_LISTED: Final = 8
_LAYER: Final = re.compile(r"rnns\.([0-9]{1,3})\.")


@dataclass(frozen=True)
class FastaiWeights:
    """A network of fastai under this package's names.

    Attributes:
        architecture: its sizes, read off the shapes.
        encoder: parameters of the encoder; rows of the embedding in the file's order.
        decoder_bias: `[vocabulary]`, zeros for a decoder without one; None for an encoder alone.
    """

    architecture: Architecture
    encoder: Tree
    decoder_bias: NDArray[np.float32] | None


def read_weights(path: Path) -> FastaiWeights:
    """The language model or encoder in a file that fastai saved, of any of its three generations.

    Raises:
        ArtifactError: missing, damaged, made to run code, another network, or with names, shapes or numbers that do not
            fit; says which.
    """
    file = read_torch_file(path)
    tensors = _state_dictionary(file)
    prefix = "" if EMBEDDING in tensors else "0."
    if f"{prefix}{EMBEDDING}" not in tensors:
        raise _another_network(path, tensors)
    decoder = {name: tensor for name, tensor in tensors.items() if name.startswith("1.")}
    encoder = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name not in decoder}
    named = {ours: encoder[theirs] for ours, theirs in without_duplicates(set(encoder)).items()}
    embedding, has_decoder = named[EMBEDDING], bool(decoder)
    for name, copy in ((name, named.pop(name, None)) for name in EMBEDDING_COPIES):
        _check_copy(file, embedding, copy, f"the copy {name} of the embedding")
    _check_copy(file, embedding, decoder.pop(DECODER_COPY, None), f"the decoder's matrix {DECODER_COPY}")
    architecture = _architecture(named, path)
    leaves = _leaves(file, named, architecture, prefix)
    bias = _decoder_bias(file, decoder, architecture.vocabulary_size) if has_decoder else None
    return FastaiWeights(architecture, unflatten(leaves)["encoder"], bias)


def _state_dictionary(file: TorchFile) -> dict[str, Tensor]:
    """The names and tensors of a file; of `{"model": ..., "opt": ...}`, which `learn.save` writes, the model's."""
    content = file.content
    if isinstance(content, dict) and isinstance(content.get("model"), dict):
        content = content["model"]
    if not isinstance(content, dict) or not content:
        raise ArtifactError(f"{file.path} holds no parameters by name: give what fastai's learn.save has written")
    for name, tensor in content.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise ArtifactError(
                f"{file.path} has {reprlib.repr(name)}, which is no tensor by name: give what fastai's learn.save has "
                "written"
            )
    return content


def _another_network(path: Path, tensors: Mapping[str, Any]) -> ArtifactError:
    if f"0.module.{EMBEDDING}" in tensors:
        return ArtifactError(
            f"{path} holds a classifier: give its language model, or its encoder alone, as learn.save_encoder writes it"
        )
    return ArtifactError(
        f"{path} has no {EMBEDDING} or 0.{EMBEDDING} among {_listed(tensors)}: "
        "give an AWD-LSTM language model of fastai, or its encoder"
    )


def _check_copy(file: TorchFile, embedding: Tensor, copy: Tensor | None, what: str) -> None:
    if copy is None or copy == embedding:
        return
    if copy.shape != embedding.shape or not np.array_equal(file.array(copy), file.array(embedding)):
        raise ArtifactError(
            f"{file.path}: {what} differs from {EMBEDDING}, but they are one matrix in an AWD-LSTM of fastai; "
            "give a file whose copies are the same"
        )


def _architecture(named: Mapping[str, Tensor], path: Path) -> Architecture:
    """The sizes, from the embedding and the first layer."""
    layers = {int(match[1]) for match in map(_LAYER.match, named) if match}
    embedding, first = named[EMBEDDING], named.get("rnns.0.weight_hh_l0_raw")
    if first is None or len(first.shape) != 2 or len(embedding.shape) != 2:
        raise ArtifactError(f"{path} has no LSTM layers as fastai names them: a QRNN or a Transformer cannot be read")
    if 0 in (*first.shape, *embedding.shape):
        raise ArtifactError(f"{path} has a matrix without rows or columns: give the weights of a trained model")
    return Architecture(embedding.shape[0], embedding.shape[1], first.shape[1], len(layers))


def _leaves(
    file: TorchFile, named: dict[str, Tensor], architecture: Architecture, prefix: str
) -> dict[str, NDArray[np.float32]]:
    """The encoder's arrays by their path here."""
    shapes: dict[str, tuple[int, ...]] = {EMBEDDING: (architecture.vocabulary_size, architecture.embedding_size)}
    places = {EMBEDDING: Place("encoder/embedding")}
    for layer, (inputs, hidden) in enumerate(architecture.layer_sizes()):
        names = layer_names(layer)
        gates = 4 * hidden
        shapes |= dict(zip(names, [(gates, hidden), (gates, inputs), (gates,), (gates,)], strict=True))
        places |= names
    _check_names(file.path, named, shapes, prefix)
    leaves = {}
    for name, place in places.items():
        array = _array(file, f"{prefix}{name}", named[name], shapes[name])
        leaves[place.path] = np.ascontiguousarray(array.T) if place.transposed else array
    return leaves


def _decoder_bias(file: TorchFile, decoder: dict[str, Tensor], size: int) -> NDArray[np.float32]:
    """fastai 0.7 has no bias of the decoder: zeros."""
    if not decoder:
        return np.zeros((size,), np.float32)
    _check_names(file.path, decoder, {DECODER_BIAS: (size,)})
    return _array(file, DECODER_BIAS, decoder[DECODER_BIAS], (size,))


def _check_names(path: Path, found: Mapping[str, Any], needed: Mapping[str, Any], prefix: str = "") -> None:
    strays = {"missing": needed.keys() - found.keys(), "unknown": found.keys() - needed.keys()}
    if any(strays.values()):
        parts = [
            f"{what}: {_listed(prefix + name for name in sorted(names))}" for what, names in strays.items() if names
        ]
        raise ArtifactError(
            f"{path} does not hold the parameters of an AWD-LSTM of fastai ({'; '.join(parts)}): "
            "give a language model or an encoder that fastai's learn.save or learn.save_encoder has written"
        )


def _listed(names: Iterable[str]) -> str:
    """The first few names, on one line whatever they are."""
    shown = [" ".join(name.split())[:80] for name in names]
    return ", ".join(shown[:_LISTED]) + (f", … ({len(shown) - _LISTED} more)" if len(shown) > _LISTED else "")


def _array(file: TorchFile, name: str, tensor: Tensor, shape: tuple[int, ...]) -> NDArray[np.float32]:
    if tensor.shape != shape:
        raise ArtifactError(
            f"{file.path}: {name} has the shape {tensor.shape} where the other parameters want {shape}: "
            "give the file as fastai saved it"
        )
    array = file.array(tensor)
    if array.dtype != np.float32 or not np.isfinite(array).all():
        raise ArtifactError(f"{file.path}: {name} holds something else than finite numbers: give another save of it")
    return array
