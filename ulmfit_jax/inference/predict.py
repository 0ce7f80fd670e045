"""Class probabilities of documents, in the order they are given."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from ulmfit_jax.artifact import Artifact
from ulmfit_jax.data.batches import DocumentBatches
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.errors import ArtifactError
from ulmfit_jax.nn.documents import MAX_LENGTH
from ulmfit_jax.training.classifier import classifier_definition
from ulmfit_jax.training.document_scores import document_values, scoring_step
from ulmfit_jax.training.mapping import Devices

BATCH_SIZE = 64
"""Documents of a batch in prediction; fewer where there are fewer documents."""


class Predictor:
    """Runs a classifier over documents. A document's probabilities do not depend on what else is predicted with it."""

    def __init__(self, artifact: Artifact, devices: Devices, precision: str = "float32"):
        """Bind a classifier to devices; a program is compiled for each length bucket when it is first needed.

        Args:
            artifact: the classifier.
            devices: devices to run on.
            precision: what the operands of matrix products are rounded to, `float32` or `bfloat16`.

        Raises:
            ArtifactError: the model is not a classifier.
        """
        if artifact.head is None:
            raise ArtifactError(f"a {artifact.kind.replace('_', ' ')} gives no class probabilities: load a classifier")
        self._artifact, self._devices = artifact, devices
        definition = classifier_definition(artifact.architecture, artifact.head, jnp.dtype(precision))
        self._step = scoring_step(definition, devices, int(artifact.settings.get("max_length", MAX_LENGTH)))
        self._parameters = devices.replicate(artifact.parameters)
        self._statistics = devices.replicate(artifact.statistics)

    def log_probabilities(self, documents: Corpus) -> np.ndarray:
        """Log probabilities `[documents, classes]` float32."""
        assert self._artifact.head is not None
        batches = evaluation_batches(self._artifact, documents, self._devices)
        n_classes = self._artifact.head.n_classes
        return document_values(self._step, self._parameters, self._statistics, batches, n_classes, self._devices)


def evaluation_batches(artifact: Artifact, documents: Corpus, devices: Devices) -> DocumentBatches | None:
    """Batches as a model reads documents; None where there are none.

    Their size is a power of two, so that small requests compile few programs, and a multiple of the devices.
    """
    if not len(documents):
        return None
    wanted = min(BATCH_SIZE, 1 << (len(documents) - 1).bit_length())
    size = -(-wanted // len(devices)) * len(devices)
    return DocumentBatches(documents, None, size, int(artifact.settings.get("bptt", 72)), artifact.backwards)
