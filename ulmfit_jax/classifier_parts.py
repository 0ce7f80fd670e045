"""A classifier's training part after part: the language model and the classifier, then each round of self-training."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ulmfit_jax.artifact import Artifact
from ulmfit_jax.classifier_choices import training_part
from ulmfit_jax.classifier_fit import check_classifier_folder, check_probe, fine_tuned_language_model, fit_classifier
from ulmfit_jax.classifier_options import ClassifierOptions
from ulmfit_jax.classifier_plan import check_plan
from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.labels import check_labels
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.products import chosen_precision
from ulmfit_jax.self_training import drawn_rounds, pseudo_labelled, round_name
from ulmfit_jax.training.mapping import Devices

_LOG = logging.getLogger(__name__)


class TrainedPart(NamedTuple):
    """A classifier, its rows of the table of epochs, and the seconds of each part by name."""

    artifact: Artifact
    history: list[dict[str, Any]]
    seconds: dict[str, float]


def trained_parts(
    options: ClassifierOptions, data: TextDataset, more: Sequence[str], folder: Path | None, workers: int
) -> Iterator[TrainedPart]:
    """Train, giving each classifier as soon as it is there; see `TextClassifier.fit`.

    Args:
        options: see `TextClassifier`.
        data: labelled texts.
        more: texts without labels, for the language model and for self-training.
        folder: the run folder, or None.
        workers: processes that tokenise.
    """
    classes = check_labels(data)
    check_plan(options, data)
    check_probe(options, len(classes))
    if options.rounds and not more:
        raise ConfigError("self_training needs texts without labels: give them as unlabeled")
    rounds = drawn_rounds(more, options.rounds, options.seed, data.texts)
    if folder is not None:
        check_classifier_folder(folder, data, classes, options)
    started = time.monotonic()
    start, lm_history = fine_tuned_language_model(options, [*data.without_valid.texts, *more], folder, workers)
    if more and not lm_history and not rounds and options.pretrained is not None:
        _LOG.warning(
            "unlabeled is not read: no language model is fine-tuned (lm_epochs is 0, or it is an encoder alone)"
        )
    middle = time.monotonic()
    artifact, history = fit_classifier(start, data, classes, options, folder, workers)
    seconds = {"language_model": middle - started, "classifier": time.monotonic() - middle}
    yield TrainedPart(artifact, [*lm_history, *history], seconds)
    for number, texts in enumerate(rounds, 1):
        started = time.monotonic()
        name = round_name(number)
        labels_file = name.replace("self_training", "pseudo_labels") + ".json"
        pseudo = pseudo_labelled(
            artifact,
            training_part(data, options),
            texts,
            Devices(options.devices),
            chosen_precision(options.precision),
            folder and folder / labels_file,
        )
        artifact, history = fit_classifier(artifact, data, classes, options, folder, workers, (name, pseudo))
        yield TrainedPart(artifact, history, {name: time.monotonic() - started})
