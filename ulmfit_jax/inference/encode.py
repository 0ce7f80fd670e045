"""Vectors of documents, for search and clustering."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from ulmfit_jax.artifact import Artifact
from ulmfit_jax.data.corpus import Corpus, corpus_in_memory
from ulmfit_jax.data.lists import text_list
from ulmfit_jax.inference.predict import evaluation_batches
from ulmfit_jax.nn.documents import MAX_LENGTH
from ulmfit_jax.training.document_scores import document_values, encoder_definition, vector_step
from ulmfit_jax.training.mapping import Devices


def encoded(artifact: Artifact, texts: Sequence[str] | str, devices: Devices) -> np.ndarray:
    """Vectors of texts, one row each; of one string, one row."""
    documents = corpus_in_memory(text_list([texts] if isinstance(texts, str) else texts), artifact.tokenizer)
    return DocumentEncoder(artifact, devices).vectors(documents)


class DocumentEncoder:
    """Runs the encoder of any model over documents."""

    def __init__(self, artifact: Artifact, devices: Devices):
        """Bind the encoder of a language model, a classifier, or an encoder alone."""
        self._artifact, self._devices = artifact, devices
        definition = encoder_definition(artifact.architecture, jnp.float32)
        self._step = vector_step(definition, devices, int(artifact.settings.get("max_length", MAX_LENGTH)))
        self._parameters = {"encoder": devices.replicate(artifact.parameters["encoder"])}

    def vectors(self, documents: Corpus) -> np.ndarray:
        """Last output, maximum and mean over a document's tokens, `[documents, 3 * embedding]` float32."""
        width = 3 * self._artifact.architecture.embedding_size
        batches = evaluation_batches(self._artifact, documents, self._devices)
        return document_values(self._step, self._parameters, {}, batches, width, self._devices)
