"""Small networks of this package and fastai's with the same parameters."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from oracles.fastai.reference import fastai, torch
from oracles.fastai.weights import load
from ulmfit_jax.nn.architecture import Architecture, Dropouts
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.parameters import ModuleDefinition, Tree, flatten, unflatten
from ulmfit_jax.training.classifier import classifier_definition
from ulmfit_jax.training.language_model import language_model_definition

SIZES = Architecture(vocabulary_size=40, embedding_size=12, hidden_size=16, n_layers=3)
HEAD = Head(n_classes=3, hidden=(10,), dropouts=(0.0,))
BPTT = 8
NO_WEIGHT_DROP = 1e-15
"""A rate that drops nothing. At 0 torch's dropout returns the parameter itself, which fastai's `WeightDropout` then
registers a second time, and fails at its next forward pass."""

LANGUAGE_MODEL = language_model_definition(SIZES)
CLASSIFIER = classifier_definition(SIZES, HEAD)


def drawn(definition: ModuleDefinition, seed: int = 0) -> tuple[Tree, Tree]:
    """Parameters and statistics further from 0 and 1 than at the start of a training, so that each of them matters."""
    parameters, statistics = definition.initialise(seed)
    random = np.random.default_rng(seed)

    def away(path: str, array: jax.Array) -> jax.Array:
        if path == "encoder/embedding":
            return 10 * array
        if "/lstm_" in path or "/dense_" in path:
            return 3 * array
        if path == "decoder/bias" or "/norm_" in path:
            return array + jnp.asarray(random.uniform(-0.3, 0.3, array.shape), jnp.float32)
        return array

    trees = (flatten(tree) for tree in (parameters, statistics))
    moved = [unflatten({path: away(path, array) for path, array in leaves.items()}) for leaves in trees]
    return moved[0], moved[1]


def fastai_language_model(parameters: Tree, dropouts: Dropouts = Dropouts()) -> torch.nn.Module:  # noqa: B008 - frozen
    """fastai's language model, with its encoder and its tied decoder."""
    config = _encoder_config(dropouts) | {"tie_weights": True, "out_bias": True}
    model = fastai.get_language_model(fastai.AWD_LSTM, SIZES.vocabulary_size, config)
    load(model, parameters)
    return model


def fastai_classifier(
    parameters: Tree,
    statistics: Tree,
    *,
    bptt: int = BPTT,
    max_length: int = 1440,
    dropouts: Dropouts = Dropouts(),  # noqa: B008 - frozen
    head: Head = HEAD,
) -> torch.nn.Module:
    """fastai's text classifier."""
    model = fastai.get_text_classifier(
        fastai.AWD_LSTM,
        SIZES.vocabulary_size,
        head.n_classes,
        seq_len=bptt,
        config=_encoder_config(dropouts),
        lin_ftrs=list(head.hidden),
        ps=list(head.dropouts),
        max_len=max_length,
    )
    load(model, parameters, statistics)
    return model


def _encoder_config(dropouts: Dropouts) -> dict[str, object]:
    return {
        "emb_sz": SIZES.embedding_size,
        "n_hid": SIZES.hidden_size,
        "n_layers": SIZES.n_layers,
        "pad_token": 1,
        "bidir": False,
        "output_p": dropouts.output,
        "hidden_p": dropouts.hidden,
        "input_p": dropouts.input,
        "embed_p": dropouts.embedding,
        "weight_p": dropouts.weight or NO_WEIGHT_DROP,
    }
