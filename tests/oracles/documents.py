"""A document through encoder, pooling and head, alone and without any padding, in NumPy float64.

Parameters are the network's nested dictionaries; layers are found by their names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracles.lstm import lstm

Array = NDArray[np.float64]
PAD = 1


def encode(encoder: dict[str, Any], tokens: Sequence[int]) -> Array:
    """Outputs of the last layer [tokens, features] of one text read from the zero state."""
    return encode_layers(encoder, tokens)[-1]


def encode_layers(encoder: dict[str, Any], tokens: Sequence[int]) -> list[Array]:
    """The embedded tokens and the outputs of each layer, [tokens, features] each."""
    features = np.asarray(encoder["embedding"], np.float64)[np.asarray(tokens)][:, None]
    outputs = [features[:, 0]]
    for name in sorted(name for name in encoder if name.startswith("lstm_")):
        kernel, recurrent, *biases = (
            np.asarray(encoder[name][part], np.float64)
            for part in ("input_kernel", "recurrent_kernel", "input_bias", "recurrent_bias")
        )
        zero = np.zeros((1, recurrent.shape[0]))
        features, _, _ = lstm(features @ kernel + sum(biases), recurrent, zero, zero)
        outputs.append(features[:, 0])
    return outputs


def first_pooled(length: int, bptt: int, max_length: int) -> int:
    """The first token that is pooled: whole chunks at the document's end, max_length tokens of them at the most."""
    chunks = (length + bptt - 1) // bptt
    return max(chunks - max(max_length // bptt, 1), 0) * bptt


def document_vector(
    encoder: dict[str, Any], tokens: Sequence[int], bptt: int, max_length: int = 1440, all_layers: bool = False
) -> Array:
    """Concat pooling [3 * features]: last output, maximum, mean; with all layers, the means of the lower ones too."""
    start = first_pooled(len(tokens), bptt, max_length)
    *below, outputs = (layer[start:] for layer in encode_layers(encoder, tokens))
    means = [layer.mean(axis=0) for layer in below if all_layers]
    return np.concatenate([outputs[-1], outputs.max(axis=0), outputs.mean(axis=0), *means])


def probabilities(
    parameters: dict[str, Any],
    statistics: dict[str, Any],
    tokens: Sequence[int],
    bptt: int,
    max_length: int = 1440,
    all_layers: bool = False,
) -> Array:
    """Class probabilities [classes] of one document, dropout off."""
    features = document_vector(parameters["encoder"], tokens, bptt, max_length, all_layers)
    head, running = parameters["head"], statistics["head"]
    layers = sum(name.startswith("dense_") for name in head)
    for index in range(layers):
        norm, moments = head[f"norm_{index}"], running[f"norm_{index}"]
        scale, bias, mean, variance = (
            np.asarray(array, np.float64)
            for array in (norm["scale"], norm["bias"], moments["mean"], moments["variance"])
        )
        features = (features - mean) / np.sqrt(variance + 1e-5) * scale + bias
        features = features @ np.asarray(head[f"dense_{index}"]["kernel"], np.float64)
        if index < layers - 1:
            features = np.maximum(features, 0)
    exponentials = np.exp(features - features.max())
    return exponentials / exponentials.sum()


def penalties(
    encoder: dict[str, Any], documents: Sequence[Sequence[int]], bptt: int, max_length: int
) -> tuple[float, float]:
    """AR and TAR of a batch without their factors: mean square of the outputs, and of their change from step to step.

    As in fastai, the encoder reads pads after the end of a document too, and the batch is as wide as its longest
    document, with zeros where a shorter one has not begun. All begin with a whole chunk; in the last one, the document
    with most tokens there decides where the batch ends.
    """
    end = max((len(document) - 1) % bptt + 1 for document in documents)
    filled = [[*document, *[PAD] * ((end - len(document)) % bptt)] for document in documents]
    width = min(max(len(document) for document in filled), (max(max_length // bptt, 1) - 1) * bptt + end)
    grid = np.zeros((len(documents), width, np.shape(encoder["embedding"])[1]))
    for row, document in enumerate(filled):
        outputs = encode(encoder, document)[-width:]
        grid[row, width - len(outputs) :] = outputs
    changes = np.diff(grid, axis=1)
    return float((grid**2).mean()), float((changes**2).mean()) if changes.size else 0.0
