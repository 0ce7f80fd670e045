"""How well a language model foretells texts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ulmfit_jax.artifact import Artifact
from ulmfit_jax.data.corpus import corpus_in_memory
from ulmfit_jax.errors import DataError
from ulmfit_jax.training.language_model import (
    document_ends,
    evaluation_step,
    language_model_definition,
    nowhere,
    stream_scores,
)
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.runs import LanguageModelSettings, validation_stream


def perplexity(model: Artifact, texts: Sequence[str], bptt: int) -> float:
    """Perplexity per token of a language model over texts read one after the other, `bptt` tokens at a time.

    The state goes over from text to text if the model was trained so (its setting `reset_state`). A long stream is cut
    into 8 rows that are read side by side, each from a state of zero, as a batch of fastai's is; so the figure is a
    little above that of the same tokens in one row.

    Raises:
        DataError: there are fewer than two tokens.
    """
    corpus, devices = corpus_in_memory(texts, model.tokenizer), Devices.alone()
    settings = LanguageModelSettings(batch_size=8, bptt=bptt, backwards=model.backwards)
    stream = validation_stream(corpus, settings, 1)
    if stream is None:
        raise DataError("the texts have fewer than two tokens: there is nothing to predict")
    ends = document_ends(model.backwards) if model.settings.get("reset_state", False) else nowhere
    step = evaluation_step(language_model_definition(model.architecture), devices, ends)
    parameters = devices.replicate(model.parameters)
    loss, _, tokens = stream_scores(step, parameters, stream, model.architecture, devices)
    return math.exp(loss / tokens)
