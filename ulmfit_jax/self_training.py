"""Self-training: a classifier and a bag of n-grams label texts together, and the classifier learns on from these.

Where labels are few and text is plenty, two models learn from the labels, the ULMFiT classifier and a linear one over
n-grams of its tokens, and give further texts their labels (`ulmfit_jax.co_training`; pseudo-labels, Lee 2013). A second
round starts from a better classifier and reads other texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ulmfit_jax.artifact import Artifact
from ulmfit_jax.co_training import joint_labels
from ulmfit_jax.data.corpus import corpus_in_memory, texts_fingerprint
from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.labels import label_indices
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.inference.predict import Predictor
from ulmfit_jax.nn.parameters import parameters_fingerprint
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.processes import is_first
from ulmfit_jax.training.run_configuration import write_atomically


def round_name(number: int) -> str:
    """What the run folder and the tables call a round, counted from 1."""
    return "self_training" if number == 1 else f"self_training_{number}"


def drawn_rounds(
    texts: Iterable[str], rounds: Sequence[int], seed: int, labelled: Iterable[str] = ()
) -> list[list[str]]:
    """The texts of each round: no text in two of them, each round's in the order of `texts`.

    Those that are `labelled` are left out: they are learnt from already, or held out to measure on. A single round may
    ask for more than there are and gets all.

    Raises:
        ConfigError: there are too few for several rounds, or none.
    """
    known = set(labelled)
    texts = [text for text in texts if text not in known]
    if rounds and known and not texts:
        raise ConfigError("all texts that are given without labels stand among the labelled ones too: give others")
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
    return joint_labels(list(known), classes, len(teacher.labels), list(unlabelled), of_network)


def _read(file: Path, made_from: list[str | None]) -> np.ndarray | None:
    """The classes that were kept, unless they were made from something else."""
    try:
        content = json.loads(file.read_text("utf-8"))
        return np.array(content["classes"], np.int64) if content["made_from"] == made_from else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
