"""The voice of n-grams in an ensemble: a linear model beside the networks, each believed as far as it is right.

A network reads sentences and a bag of n-grams counts words; they are wrong about different texts, and with some hundred
labels or more the n-grams are often the better ones. Both are brought to the sharpness that they deserve before their
probabilities are averaged: the n-grams by what they say of labelled texts in cross-validation, the networks by what
they say of texts that they were not trained on. Where no such texts have labels, those that the n-grams give in
co-training stand in for them; otherwise the networks become as sure as the n-grams are, within the bounds of what
fine-tuned networks are too sure of. After co-training the networks weigh less: n-grams that have learnt from what they
said speak for them too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from ulmfit_jax.co_training import joint_labels
from ulmfit_jax.errors import ArtifactError
from ulmfit_jax.inference.label_answers import fitted_label_temperature, tempered_labels
from ulmfit_jax.inference.temperature import checked_temperature, fitted_temperature, tempered
from ulmfit_jax.ngram_table import Ids
from ulmfit_jax.ngrams import NgramModel, counted_ngrams
from ulmfit_jax.training.label_measures import log_complements

FOLDER: Final = "ngrams"
_SMALLEST: Final = float(np.finfo(np.float32).tiny)

SAMPLE: Final = 256
"""So many of the texts that the networks were trained on say how sure they are."""

_TOO_SURE: Final = (1.0, 3.0)
"""Temperatures of networks without held-out texts. Guo et al. (2017, table 2) found some 1 to 3 for networks of many
kinds."""

_ARRAYS: Final = {
    "ngrams": np.int32,
    "inverse_frequencies": np.float32,
    "weights": np.float32,
    "intercepts": np.float32,
    "known": np.int32,
}


_SHARE: Final = 0.5
_SHARE_AFTER_CO_TRAINING: Final = 0.25
"""Weight of the networks' probabilities, that of the n-grams is the rest (experiments/README.md)."""


@dataclass(frozen=True)
class NgramVoice:
    """N-grams and networks answer together.

    Attributes:
        model: the linear model.
        temperature: of its log probabilities.
        networks_temperature: of the log probabilities of the networks' mean.
        networks_share: weight of the networks' probabilities in the mean of both.
    """

    model: NgramModel
    temperature: float
    networks_temperature: float
    networks_share: float = _SHARE

    def log_probabilities(self, of_networks: np.ndarray, documents: Sequence[Ids]) -> np.ndarray:
        """Logarithm of the weighted mean of both probabilities, `[documents, classes]` float64.

        Args:
            of_networks: log probabilities of the networks, `[documents, classes]`.
            documents: token ids of the same documents.
        """
        sharpened = tempered_labels if self.model.multi_label else tempered
        networks = sharpened(of_networks, self.networks_temperature).astype(np.float64)
        ngrams = sharpened(self.model.log_probabilities(documents), self.temperature)
        mean = self.networks_share * networks + (1 - self.networks_share) * ngrams
        return np.log(np.maximum(mean, _SMALLEST))

    def facts(self) -> dict[str, Any]:
        """What the ensemble's `config.json` says of it."""
        return {
            "features": len(self.model.ngrams),
            "temperature": self.temperature,
            "networks_temperature": self.networks_temperature,
            "networks_share": self.networks_share,
        }

    def save(self, folder: Path, dtype: Any) -> None:
        """Write the arrays into the folder, which does not exist; floating-point numbers as `dtype`."""
        folder.mkdir()
        for name, kind in _ARRAYS.items():
            array = getattr(self.model, name)
            stored = dtype if kind == np.float32 else np.int16 if array.max(initial=0) < 2**15 else kind
            np.save(folder / f"{name}.npy", array.astype(stored))


def learnt_voice(
    documents: Sequence[Ids],
    targets: np.ndarray,
    n_classes: int,
    of_networks: tuple[np.ndarray, np.ndarray],
    *,
    held_out: bool,
    unlabelled: tuple[Sequence[Ids], np.ndarray] | None = None,
) -> NgramVoice:
    """Fit n-grams and both temperatures.

    Args:
        documents: token ids of labelled documents.
        targets: index of each one's class, or, where a text may have several labels, indicators `[documents, classes]`.
        n_classes: number of classes.
        of_networks: the networks' log probabilities of some texts, `[texts, classes]`; and these texts' targets if they
            are held out, or their rows among the documents.
        held_out: whether these are texts that the networks were not trained on.
        unlabelled: token ids of documents without labels, and the networks' log probabilities of these; both label
            them, and the n-grams learn from them too.

    Raises:
        DataError: the documents have no n-gram in common.
    """
    every, given = list(documents), targets
    if unlabelled is not None:
        every += unlabelled[0]
        given = np.concatenate([targets, joint_labels(documents, targets, n_classes, *unlabelled)])
    counted = counted_ngrams(every)
    model = counted.fitted(given, n_classes)
    unseen, of_others = np.split(counted.cross_validated(given, n_classes), [len(documents)])
    fitted = fitted_label_temperature if model.multi_label else fitted_temperature
    sureness = _sureness_of_labels if model.multi_label else _sureness
    known = np.arange(len(targets))
    if not model.multi_label:  # a class may have had no document outside of a fold
        known = np.flatnonzero(unseen[known, targets] > np.log(_SMALLEST))
    temperature = fitted(unseen[known], targets[known], is_near_one=True) if len(known) else 1.0
    share = _SHARE if unlabelled is None else _SHARE_AFTER_CO_TRAINING
    if held_out:
        return NgramVoice(model, temperature, fitted(*of_networks, is_near_one=True), share)
    if unlabelled is not None:  # the networks were not trained on these: the n-grams say how far they are right
        return NgramVoice(model, temperature, fitted(unlabelled[1], of_others.argmax(axis=1), is_near_one=True), share)
    scores, rows = of_networks
    ratio = temperature * sureness(scores) / max(sureness(unseen[rows]), _SMALLEST)
    return NgramVoice(model, temperature, float(np.clip(ratio, *_TOO_SURE)))


def _sureness(log_probabilities: np.ndarray) -> float:
    """By how much the log probability of the first class exceeds that of the second, on average."""
    second, first = np.sort(log_probabilities.astype(np.float64), axis=1)[:, -2:].T
    return float((first - second).mean())


def _sureness_of_labels(log_probabilities: np.ndarray) -> float:
    """How far the log odds of a label are from 0, on average."""
    scores = log_probabilities.astype(np.float64)
    return float(np.abs(scores - log_complements(scores)).mean())


def load_voice(folder: Path, facts: Any, n_classes: int, multi_label: bool, vocabulary_size: int) -> NgramVoice:
    """What `NgramVoice.save` wrote: every shape, type and range is checked, and nothing is executed.

    Args:
        folder: the arrays' place.
        facts: what `config.json` says, as `NgramVoice.facts` gives it.
        n_classes: number of classes of the ensemble.
        multi_label: whether its texts may have several labels.
        vocabulary_size: of the tokeniser whose tokens these are.

    Raises:
        ArtifactError: files are missing, damaged or do not belong together.
    """
    try:
        arrays = {name: _array(folder / f"{name}.npy", kind) for name, kind in _ARRAYS.items()}
        model = NgramModel(**arrays, n_classes=n_classes, multi_label=multi_label)
        _check(model, vocabulary_size)
        if facts["features"] != len(model.ngrams):
            raise ValueError(f"{len(model.ngrams)} n-grams")
        temperature, of_networks = (
            checked_temperature(facts[name]) for name in ("temperature", "networks_temperature")
        )
        share = facts.get("networks_share", _SHARE)  # folders from before there was one say nothing
        if not isinstance(share, float) or not 0 < share < 1:
            raise ValueError("a networks_share that is no number between 0 and 1")
    except (OSError, ValueError, TypeError, KeyError, EOFError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ArtifactError(
            f"{folder} is not what ulmfit-jax writes ({reason}): copy the model folder again"
        ) from error
    return NgramVoice(model, temperature, of_networks, share)


def _array(file: Path, kind: Any) -> np.ndarray:
    """An array of a `.npy` file, mapped first, so that no header makes it larger than its file."""
    mapped = np.load(file, mmap_mode="r", allow_pickle=False) if file.stat().st_size else np.zeros(0)
    if mapped.dtype.kind != np.dtype(kind).kind:
        raise ValueError(f"{file.name} holds {mapped.dtype}")
    return np.array(mapped, kind)


def _check(model: NgramModel, vocabulary_size: int) -> None:
    n_known = len(model.known)
    n_scores = n_known - 1 if n_known < 3 and not model.multi_label else n_known
    shapes = {
        "ngrams": (len(model.ngrams), model.ngrams.shape[-1]),
        "inverse_frequencies": (len(model.ngrams),),
        "weights": (len(model.ngrams), n_scores),
        "intercepts": (n_scores,),
        "known": (n_known,),
    }
    for name, shape in shapes.items():
        if getattr(model, name).shape != shape:
            raise ValueError(f"{name} has the shape {getattr(model, name).shape}, not {shape}")
        if not np.isfinite(getattr(model, name)).all():
            raise ValueError(f"{name} holds what is no number")
    classes = np.arange(model.n_classes)
    if not n_known or not np.isin(model.known, classes).all() or (np.diff(model.known) < 1).any():
        raise ValueError("known names no classes")
    if model.multi_label and n_known != model.n_classes:
        raise ValueError("known names some of the classes")
    if model.table.ngrams.max(initial=0) >= vocabulary_size:
        raise ValueError("ngrams holds no tokens")
