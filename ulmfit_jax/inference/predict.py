"""Class probabilities of documents, in the order they are given."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from ulmfit_jax.artifact import Artifact
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.errors import ArtifactError
from ulmfit_jax.nn.documents import MAX_LENGTH
from ulmfit_jax.training.classifier import classifier_definition
from ulmfit_jax.training.document_scores import Reading, scoring_pass
from ulmfit_jax.training.mapping import Devices


class Predictor:
    """Runs a classifier over documents. A document's probabilities do not depend on what else is predicted with it."""

    def __init__(self, artifact: Artifact, devices: Devices, precision: str = "float32"):
        """Bind a classifier to devices; its program is compiled when it is first needed.

        Args:
            artifact: the classifier.
            devices: devices to run on.
            precision: what the operands of matrix products are rounded to, `float32` or `bfloat16`.

        Raises:
            ArtifactError: the model is not a classifier.
        """
        if artifact.head is None:
            raise ArtifactError(f"a {artifact.kind.replace('_', ' ')} gives no class probabilities: load a classifier")
        definition = classifier_definition(artifact.architecture, artifact.head, jnp.dtype(precision))
        self._scores = scoring_pass(definition, artifact.architecture, artifact.head, devices, reading(artifact))
        self._parameters = devices.replicate(artifact.parameters)
        self._statistics = devices.replicate(artifact.statistics)

    def log_probabilities(self, documents: Corpus) -> np.ndarray:
        """Log probabilities `[documents, classes]` float32."""
        return self._scores(self._parameters, self._statistics, documents)


def reading(artifact: Artifact) -> Reading:
    """How a model reads documents: as it did in training."""
    settings = artifact.settings
    return Reading(int(settings.get("bptt", 72)), int(settings.get("max_length", MAX_LENGTH)), artifact.backwards)
