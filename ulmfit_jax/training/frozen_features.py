"""A head that trains on document vectors of an encoder that does not: the vectors are computed once.

A stage of gradual unfreezing that trains the head alone runs the encoder over every document in every epoch. With the
encoder's dropout off its vectors are always the same, and epochs after the first take seconds.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
from jax.typing import DTypeLike

from ulmfit_jax.data.batches import DocumentBatches
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.parameters import ModuleDefinition, Tree
from ulmfit_jax.training.document_scores import Reading, Told, vector_pass
from ulmfit_jax.training.mapping import Devices


class FrozenFeatures:
    """Keeps the vectors of each set of documents until `forget`."""

    def __init__(
        self,
        architecture: Architecture,
        definition: ModuleDefinition,
        devices: Devices,
        reading: Reading,
        dtype: DTypeLike,
        head: Head,
    ):
        """Vectors for `head` of an encoder of these sizes, with products of `dtype`; `definition` is that of the
        classifier."""
        self._vectors = vector_pass(architecture, dtype, devices, reading, head)
        self._kept: dict[int, np.ndarray] = {}

        def log_probabilities(parameters: Tree, statistics: Tree, vectors: jax.Array) -> jax.Array:
            head = definition.bind(parameters, statistics).head
            return head.head.log_probabilities(head(vectors))

        self._head: Callable[..., jax.Array] = jax.jit(log_probabilities)

    def forget(self) -> None:
        """The encoder is about to change."""
        self._kept = {}

    def of(
        self, documents: DocumentBatches, parameters: Tree, statistics: Tree, told: Told = lambda done, total: None
    ) -> np.ndarray:
        """Vectors `[documents, features]` float32 in the order of the corpus; see `DocumentPass` for `told`."""
        if id(documents) not in self._kept:
            self._kept[id(documents)] = self._vectors(parameters, statistics, documents.corpus, told)
        return self._kept[id(documents)]

    def log_probabilities(self, documents: DocumentBatches, parameters: Tree, statistics: Tree) -> np.ndarray:
        """Log probabilities `[documents, classes]` float32 by the head on the vectors."""
        return np.asarray(self._head(parameters, statistics, self.of(documents, parameters, statistics)))
