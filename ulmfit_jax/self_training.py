"""Self-training: what a first classifier and a bag of n-grams agree on teaches a second classifier.

Where labels are few and text is plenty, two models learn from the labels, the first ULMFiT classifier and a linear one
over n-grams of its tokens (`ulmfit_jax.ngrams`). They label more texts together, and the labels that they are surest of
count for a second classifier, which is kept. The two look at a text in different ways, so that together they are wrong
less often than either (co-training, Blum & Mitchell 1998; pseudo-labels, Lee 2013).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ulmfit_jax.artifact import Artifact
from ulmfit_jax.data.corpus import corpus_in_memory
from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.labels import label_indices
from ulmfit_jax.inference.predict import Predictor
from ulmfit_jax.ngrams import ngram_log_probabilities
from ulmfit_jax.training.mapping import Devices

KEPT_SHARE = 0.7
"""Share of each class's labels that are kept, the surest ones."""


def pseudo_labelled(
    teacher: Artifact, labelled: TextDataset, texts: Sequence[str], count: int, seed: int, devices: Devices
) -> TextDataset:
    """Texts with the labels that two teachers give them, the least sure ones left out.

    Args:
        teacher: a classifier trained on `labelled`.
        labelled: what the bag of n-grams learns from.
        texts: documents without labels.
        count: how many of them to label, drawn from `seed`; all if there are fewer.
        seed: of the draw.
        devices: to predict on.

    Returns:
        The surest `KEPT_SHARE` of each predicted class, in the order of `texts`.
    """
    drawn = np.sort(np.random.default_rng(seed).permutation(len(texts))[:count])
    chosen = [texts[i] for i in drawn]
    unlabelled, known = (corpus_in_memory(texts, teacher.tokenizer) for texts in (chosen, labelled.texts))
    of_network = Predictor(teacher, devices).log_probabilities(unlabelled)
    classes = label_indices(labelled, teacher.labels)
    of_ngrams = ngram_log_probabilities(list(known), classes, list(unlabelled), len(teacher.labels))
    scores = joint_scores([of_network, of_ngrams])
    kept = surest(scores, KEPT_SHARE)
    labels = [teacher.labels[k] for k in scores[kept].argmax(axis=1)]
    return TextDataset([chosen[i] for i in kept], labels, "the texts labelled by the first classifier")


def joint_scores(views: Sequence[np.ndarray]) -> np.ndarray:
    """Sum of several models' log probabilities `[documents, classes]`, each centred and brought to unit spread.

    Their spreads differ much more than their errors do: a fine-tuned network is far surer of itself than a linear
    model, and would outvote it.
    """
    total = np.zeros(views[0].shape)
    for view in views:
        centred = view - view.mean(axis=1, keepdims=True, dtype=np.float64)
        total += centred / max(float(centred.std()), float(np.finfo(np.float32).tiny))
    return total


def surest(scores: np.ndarray, share: float) -> np.ndarray:
    """Rows of `scores` `[documents, classes]` that are surest: of each predicted class this share, at least one.

    Sorted. Sureness is the lead of the best class over the second. Each class by itself, since the one that is easiest
    to tell would otherwise crowd out the others.
    """
    predicted = scores.argmax(axis=1)
    ranked = np.sort(scores, axis=1)
    lead = ranked[:, -1] - ranked[:, -2]
    kept = []
    for label in np.unique(predicted):
        rows = np.flatnonzero(predicted == label)
        order = np.argsort(-lead[rows], kind="stable")
        kept.append(rows[order][: max(int(len(rows) * share), 1)])
    return np.sort(np.concatenate(kept))
