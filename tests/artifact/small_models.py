"""A model of each kind, a few kilobytes small, with a real tokeniser."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import numpy as np

from ulmfit_jax.artifact import Artifact
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.parameters import to_numpy
from ulmfit_jax.text.words import WordTokenizer
from ulmfit_jax.training.classifier import classifier_definition
from ulmfit_jax.training.language_model import language_model_definition

KINDS = ("language_model", "encoder", "classifier")
TOKENIZER = WordTokenizer.train(["a good film and a bad film", "a bad day and a good night"] * 3)
SIZES = Architecture(len(TOKENIZER.vocabulary), embedding_size=3, hidden_size=4, n_layers=2)
HEAD = Head(2, (5,), (0.2,))


@cache
def model(kind: str) -> Artifact:
    common: dict[str, Any] = {
        "backwards": True,
        "settings": {"bptt": 8},
        "provenance": {"recipe": "tiny", "data": {"documents": 2, "source": "made up"}},
    }
    if kind == "classifier":
        parameters, statistics = classifier_definition(SIZES, HEAD).initialise(1)
        statistics = jax.tree.map(lambda leaf: np.random.default_rng(0).uniform(0.5, 2, leaf.shape), statistics)
        statistics = jax.tree.map(np.float32, statistics)
        common |= {"statistics": statistics, "labels": ("bad", "good"), "head": HEAD}
    else:
        parameters, _ = language_model_definition(SIZES).initialise(1)
        if kind == "encoder":
            parameters = {"encoder": parameters["encoder"]}
    return Artifact(kind, SIZES, TOKENIZER, to_numpy(parameters), **common)
