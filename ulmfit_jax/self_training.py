"""Self-training: a first classifier labels texts, and the labels that it is surest of teach a second one.

Where labels are few and text is plenty, the second classifier sees many more documents than the first, most of them
rightly labelled (Yarowsky 1995; pseudo-labels, Lee 2013). `experiments/README.md` has what it brings on IMDb.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ulmfit_jax.artifact import Artifact
from ulmfit_jax.data.corpus import corpus_in_memory
from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.inference.predict import Predictor
from ulmfit_jax.training.mapping import Devices

KEPT_SHARE = 0.7
"""Share of each class's labels that are kept, the surest ones. On IMDb with 2,500 labels 6 % of these were wrong, and
13 % of all."""


def pseudo_labelled(teacher: Artifact, texts: Sequence[str], count: int, seed: int, devices: Devices) -> TextDataset:
    """Texts with the labels that a classifier gives them, the least sure ones left out.

    Args:
        teacher: a trained classifier.
        texts: documents without labels.
        count: how many of them to label, drawn from `seed`; all if there are fewer.
        seed: of the draw.
        devices: to predict on.

    Returns:
        The surest `KEPT_SHARE` of each predicted class, in the order of `texts`.
    """
    drawn = np.sort(np.random.default_rng(seed).permutation(len(texts))[:count])
    documents = corpus_in_memory([texts[i] for i in drawn], teacher.tokenizer)
    log_probabilities = Predictor(teacher, devices).log_probabilities(documents)
    kept = surest(log_probabilities, KEPT_SHARE)
    labels = [teacher.labels[k] for k in log_probabilities[kept].argmax(axis=1)]
    return TextDataset([texts[i] for i in drawn[kept]], labels, "the texts labelled by the first classifier")


def surest(log_probabilities: np.ndarray, share: float) -> np.ndarray:
    """Rows of `[documents, classes]` whose predicted class is surest: of each class this share, at least one; sorted.

    Each class by itself, since the one that is easiest to tell would otherwise crowd out the others.
    """
    predicted, sureness = log_probabilities.argmax(axis=1), log_probabilities.max(axis=1)
    kept = []
    for label in np.unique(predicted):
        rows = np.flatnonzero(predicted == label)
        order = np.argsort(-sureness[rows], kind="stable")
        kept.append(rows[order][: max(int(len(rows) * share), 1)])
    return np.sort(np.concatenate(kept))
