"""Vectors of documents, for search and clustering."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from ulmfit_jax.artifact import Artifact
from ulmfit_jax.data.corpus import Corpus, corpus_in_memory
from ulmfit_jax.data.lists import text_list
from ulmfit_jax.inference.predict import reading
from ulmfit_jax.training.document_scores import vector_pass
from ulmfit_jax.training.mapping import Devices


class DocumentEncoder:
    """Runs the encoder of any model over documents."""

    def __init__(self, artifact: Artifact, devices: Devices, precision: str = "float32"):
        """Bind the encoder of a language model, a classifier, or an encoder alone; `precision` as for `Predictor`."""
        dtype = jnp.dtype(precision)
        self._vectors = vector_pass(artifact.architecture, dtype, devices, reading(artifact), artifact.head)
        self._tokenizer = artifact.tokenizer
        self._parameters = {"encoder": devices.replicate(artifact.parameters["encoder"])}

    def encode(self, texts: Sequence[str] | str) -> np.ndarray:
        """Vectors of texts, one row each; of one string, one row."""
        return self.vectors(corpus_in_memory(text_list([texts] if isinstance(texts, str) else texts), self._tokenizer))

    def vectors(self, documents: Corpus) -> np.ndarray:
        """Last output, maximum and mean over a document's tokens, `[documents, 3 * embedding]` float32; of a classifier
        that pools all layers, the means of the lower ones too."""
        return self._vectors(self._parameters, {}, documents)
