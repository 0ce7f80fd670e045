"""Self-training: a classifier and a bag of n-grams label texts together, and the classifier learns on from these.

Where labels are few and text is plenty, two models learn from the labels, the ULMFiT classifier and a linear one over
n-grams of its tokens (`ulmfit_jax.ngrams`). They look at a text in different ways, so that together they are wrong less
often than either (co-training, Blum & Mitchell 1998; pseudo-labels, Lee 2013). All labels count, the unsure ones too:
with the surest alone a student learns only what both knew (measured: experiments/README.md).
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


def pseudo_labelled(
    teacher: Artifact,
    labelled: TextDataset,
    texts: Sequence[str],
    count: int,
    seed: int,
    devices: Devices,
    precision: str = "float32",
) -> TextDataset:
    """Texts with the labels that two teachers give them together.

    Args:
        teacher: a classifier trained on `labelled`.
        labelled: what the bag of n-grams learns from.
        texts: documents without labels.
        count: how many of them to label, drawn from `seed`; all if there are fewer.
        seed: of the draw.
        devices: to predict on.
        precision: of the classifier's products; see `Predictor`.

    Returns:
        The texts drawn, in their order, with labels.
    """
    drawn = np.sort(np.random.default_rng(seed).permutation(len(texts))[:count])
    chosen = [texts[i] for i in drawn]
    unlabelled, known = (corpus_in_memory(texts, teacher.tokenizer) for texts in (chosen, labelled.texts))
    of_network = Predictor(teacher, devices, precision).log_probabilities(unlabelled)
    classes = label_indices(labelled, teacher.labels)
    of_ngrams = ngram_log_probabilities(list(known), classes, list(unlabelled), len(teacher.labels))
    scores = joint_scores([of_network, of_ngrams])
    labels = [teacher.labels[k] for k in scores.argmax(axis=1)]
    return TextDataset(chosen, labels, "the texts labelled by machine")


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
