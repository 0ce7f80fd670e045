"""Self-training: a classifier and a bag of n-grams label texts together, and the classifier learns on from these.

Where labels are few and text is plenty, two models learn from the labels, the ULMFiT classifier and a linear one over
n-grams of its tokens (`ulmfit_jax.ngrams`). They look at a text in different ways, so that together they are wrong less
often than either (co-training, Blum & Mitchell 1998; pseudo-labels, Lee 2013). All labels count, the unsure ones too:
from the surest alone a student learns only what both knew. A second round starts from a better classifier and reads
other texts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ulmfit_jax.artifact import Artifact
from ulmfit_jax.class_shares import shares_of_classes, with_shares
from ulmfit_jax.data.corpus import corpus_in_memory, texts_fingerprint
from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.labels import label_indices
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.inference.predict import Predictor
from ulmfit_jax.ngrams import cross_validated_log_probabilities, fitted_ngrams
from ulmfit_jax.nn.parameters import parameters_fingerprint
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.processes import is_first
from ulmfit_jax.training.run_configuration import write_atomically


def drawn_rounds(texts: Sequence[str], rounds: Sequence[int], seed: int) -> list[list[str]]:
    """The texts of each round: no text in two of them, each round's in the order of `texts`.

    A single round may ask for more than there are and gets all.

    Raises:
        ConfigError: there are too few for several rounds.
    """
    if len(rounds) > 1 and sum(rounds) > len(texts):
        raise ConfigError(
            f"self_training asks for {' + '.join(map(str, rounds))} texts, but there are {len(texts)} without labels"
        )
    order = np.random.default_rng(seed).permutation(len(texts))
    ends = np.cumsum(rounds, dtype=np.int64)
    return [[texts[i] for i in np.sort(order[end - count : end])] for count, end in zip(rounds, ends, strict=True)]


def pseudo_labelled(
    teacher: Artifact,
    labelled: TextDataset,
    texts: Sequence[str],
    devices: Devices,
    precision: str = "float32",
    kept: Path | None = None,
) -> TextDataset:
    """Texts with the labels that two teachers give them together.

    Args:
        teacher: a classifier trained on `labelled`.
        labelled: what the bag of n-grams learns from.
        texts: documents without labels.
        devices: to predict on.
        precision: of the classifier's products; see `Predictor`.
        kept: file that keeps the labels for the next start of the same run.
    """
    made_from: list[str | None] = [
        parameters_fingerprint(teacher.parameters),
        teacher.tokenizer.fingerprint(),
        precision,
    ]
    made_from += [texts_fingerprint(part) for part in (labelled.texts, labelled.labels or (), texts)]
    classes = _read(kept, made_from) if kept else None
    if classes is None:
        classes = _joint_labels(teacher, labelled, texts, devices, precision)
        if kept and is_first():
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(kept, json.dumps({"made_from": made_from, "classes": classes.tolist()}))
    return TextDataset(texts, [teacher.labels[k] for k in classes], "the texts labelled by machine")


def _joint_labels(
    teacher: Artifact, labelled: TextDataset, texts: Sequence[str], devices: Devices, precision: str
) -> np.ndarray:
    """The class of each text by the classifier and the n-grams together, `[texts]` int64."""
    unlabelled, known = (corpus_in_memory(texts, teacher.tokenizer) for texts in (texts, labelled.texts))
    of_network = Predictor(teacher, devices, precision).log_probabilities(unlabelled)
    classes = label_indices(labelled, teacher.labels)
    n_classes = len(teacher.labels)
    of_ngrams = fitted_ngrams(list(known), classes, n_classes).log_probabilities(list(unlabelled))
    unseen = cross_validated_log_probabilities(list(known), classes, n_classes).argmax(axis=1)
    shares = shares_of_classes(classes, unseen, of_ngrams.argmax(axis=1), n_classes)
    return with_shares(joint_scores([of_network, of_ngrams]), shares).argmax(axis=1)


def _read(file: Path, made_from: list[str | None]) -> np.ndarray | None:
    """The classes that were kept, unless they were made from something else."""
    try:
        content = json.loads(file.read_text("utf-8"))
        return np.array(content["classes"], np.int64) if content["made_from"] == made_from else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


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
