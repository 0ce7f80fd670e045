"""Documents through a classifier's network, dropout off: log probabilities and pooled vectors of a whole corpus."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.typing import DTypeLike

from ulmfit_jax.data.batches import DocumentBatch, DocumentBatches
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.awd_lstm import AwdLstm
from ulmfit_jax.nn.classifier import DEVICE_AXIS
from ulmfit_jax.nn.documents import concat_pool, encode_documents
from ulmfit_jax.nn.parameters import ModuleDefinition, Tree
from ulmfit_jax.training.mapping import REPLICATED, Devices


def split_documents(batch: DocumentBatch, devices: Devices) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and lengths of a batch with the device axis in: `[chunks, bptt, devices, rows]`, `[devices, rows]`."""
    return devices.split_rows(batch.tokens, 2), devices.split_rows(batch.lengths, 0)


def scoring_step(definition: ModuleDefinition, devices: Devices, max_length: int) -> Any:
    """`(parameters, statistics, tokens, lengths) -> log probabilities [devices, rows, classes]`, mapped over the
    devices; every process gets the rows of all."""

    def scores(parameters: Tree, statistics: Tree, tokens: jax.Array, lengths: jax.Array) -> jax.Array:
        network = definition.bind(parameters, statistics)
        own = network.head.head.log_probabilities(network.scores(tokens, lengths, max_length))
        return lax.all_gather(own, DEVICE_AXIS)

    return devices.map(scores, (REPLICATED, REPLICATED, 2, 0), REPLICATED)


def encoder_definition(architecture: Architecture, dtype: DTypeLike) -> ModuleDefinition:
    """The encoder alone, with products of `dtype`."""
    return _encoder_definition(architecture, np.dtype(dtype))


@functools.lru_cache(32)
def _encoder_definition(architecture: Architecture, dtype: np.dtype) -> ModuleDefinition:
    return ModuleDefinition(lambda rngs: AwdLstm(architecture, dtype=dtype, rngs=rngs))


def vector_step(encoder: ModuleDefinition, devices: Devices, max_length: int) -> Any:
    """The same with pooled document vectors `[devices, rows, 3 * embedding]`, what the head gets.

    Of the parameters it takes the branch `encoder`, and no statistics.
    """

    def vectors(parameters: Tree, tokens: jax.Array, lengths: jax.Array) -> jax.Array:
        own = concat_pool(encode_documents(encoder.bind(parameters), tokens, lengths, None, max_length))
        return lax.all_gather(own, DEVICE_AXIS)

    mapped = devices.map(vectors, (REPLICATED, 2, 0), REPLICATED)
    return lambda parameters, statistics, tokens, lengths: mapped(parameters["encoder"], tokens, lengths)


def document_values(
    step: Any, parameters: Tree, statistics: Tree, documents: DocumentBatches | None, width: int, devices: Devices
) -> np.ndarray:
    """What such a step gives for each document, `[documents, width]` float32 in the order of the corpus; None is no
    document."""
    if documents is None:
        return np.zeros((0, width), np.float32)
    result = np.full((len(documents.corpus), width), np.nan, np.float32)
    pending: list[tuple[np.ndarray, Any]] = []
    for batch in documents.evaluation():
        pending.append((batch.documents, step(parameters, statistics, *split_documents(batch, devices))))
        if len(pending) > 2:
            _collect(result, *pending.pop(0))
    for item in pending:
        _collect(result, *item)
    return result


def _collect(result: np.ndarray, documents: np.ndarray, values: Any) -> None:
    rows = Devices.join_rows(np.asarray(values), 0)
    true_rows = documents >= 0
    result[documents[true_rows]] = rows[true_rows]
