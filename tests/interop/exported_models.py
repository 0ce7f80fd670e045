"""A classifier and a language model over pieces, a few kilobytes small, with weights that tell texts apart."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import jax
import numpy as np

from reviews import reviews
from ulmfit_jax import TextClassifier
from ulmfit_jax.artifact import Artifact
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.parameters import Tree, to_numpy
from ulmfit_jax.text import SentencePieceTokenizer
from ulmfit_jax.training.classifier import classifier_definition
from ulmfit_jax.training.language_model import language_model_definition

HEAD = Head(3, (20,), (0.2,))
LABELS = ("bad", "good", "<b>so & so</b>")


@cache
def tokenizer() -> SentencePieceTokenizer:
    return SentencePieceTokenizer.train(reviews(60)[0], vocabulary_size=90)


def sizes() -> Architecture:
    return Architecture(len(tokenizer()), embedding_size=6, hidden_size=8, n_layers=2)


def _drawn(tree: Tree, low: float, high: float) -> Tree:
    draw = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: draw.uniform(low, high, leaf.shape).astype(np.float32), tree)


def classifier(backwards: bool = False, multi_label: bool = False, pool_layers: str = "last") -> Artifact:
    """Chunks of 8 tokens, of which the last 4 are pooled."""
    head = replace(HEAD, multi_label=multi_label, pool_layers=pool_layers)
    parameters, statistics = map(to_numpy, classifier_definition(sizes(), head).initialise(1))
    return Artifact(
        "classifier",
        sizes(),
        tokenizer(),
        _drawn(parameters, -1.0, 1.0),
        _drawn(statistics, 0.5, 2.0),
        LABELS,
        head,
        backwards,
        {"bptt": 8, "max_length": 32},
    )


def face(artifact: Artifact) -> TextClassifier:
    """The classifier that answers with these weights."""
    model = TextClassifier(devices=1)
    model._keep(artifact)
    return model


def language_model(backwards: bool = False) -> Artifact:
    parameters = to_numpy(language_model_definition(sizes()).initialise(1)[0])
    return Artifact("language_model", sizes(), tokenizer(), _drawn(parameters, -1.0, 1.0), backwards=backwards)
