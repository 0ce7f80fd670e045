"""What a classifier's training will be: the split, the stages, the settings."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ulmfit_jax.artifact import Artifact
from ulmfit_jax.class_weights import class_weights
from ulmfit_jax.classifier_choices import chosen_batch_size, chosen_settings, chosen_split, chosen_stages
from ulmfit_jax.classifier_options import ClassifierOptions
from ulmfit_jax.data.corpus import Corpus, cached_corpus
from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.labels import check_labels, label_indices
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.parameters import Tree
from ulmfit_jax.option_ranges import check_lr_mult, check_positive, make_whole
from ulmfit_jax.training.classifier import ClassifierTask
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.processes import first_process_first
from ulmfit_jax.training.recipes import (
    FURTHER_RATE,
    FURTHER_SPREAD,
    further_stages,
    self_training_stages,
)
from ulmfit_jax.training.runs import ClassifierSettings, classifier_task
from ulmfit_jax.training.scaling import unfreezing_epochs
from ulmfit_jax.training.stages import Stage

Labelled = tuple[Corpus, np.ndarray]
"""Documents and their class indices; or, where a document may have several labels, indicators; or probabilities."""


@dataclass(frozen=True)
class Further:
    """How a trained classifier learns on from other texts.

    Attributes:
        learning_rate: peak rate of the head.
        lr_mult: that over the embedding's.
        epochs: None: by the number of texts.
        targets: probabilities `[texts, classes]` to learn instead of the labels, or None.
    """

    learning_rate: float = FURTHER_RATE
    lr_mult: float = FURTHER_SPREAD
    epochs: int | None = None
    targets: np.ndarray | None = None

    def __post_init__(self) -> None:
        make_whole(self, "epochs")
        check_positive(learning_rate=self.learning_rate, epochs=self.epochs)
        check_lr_mult(self.lr_mult)


@dataclass(frozen=True)
class ClassifierPlan:
    """Everything that a classifier's training is, before it runs.

    Attributes:
        start: the model whose encoder it starts from, or the classifier that goes on.
        head: sizes of the head.
        train: documents to learn from.
        valid: documents to measure on after each epoch, or None.
        stages: the fits, with epochs and rates.
        settings: batch size, dropout, penalties.
        seed: of everything that is drawn.
        fingerprint: SHA-256 of all texts and labels, and that of probabilities learnt instead of these.
    """

    start: Artifact
    head: Head
    train: Labelled
    valid: Labelled | None
    stages: tuple[Stage, ...]
    settings: ClassifierSettings
    seed: int
    fingerprint: str

    @property
    def branches(self) -> Tree:
        """The branches of the parameters that training starts from: all but a language model's decoder."""
        return {name: branch for name, branch in self.start.parameters.items() if name != "decoder"}

    def task(self, devices: Devices) -> ClassifierTask:
        """The network bound to the documents, as training runs it."""
        return classifier_task(
            self.start.architecture, self.head, self.train, self.valid, self.settings, self.seed, devices
        )


def classifier_plan(
    start: Artifact,
    data: TextDataset,
    classes: Sequence[str],
    options: ClassifierOptions,
    folder: Path | None,
    workers: int,
    pseudo: TextDataset | None = None,
    further: Further | None = None,
) -> ClassifierPlan:
    """Tokenise, split, and choose what `options` leave open by the number of documents; see `fit_classifier`."""
    rows, held_out = chosen_split(data, options)
    weights = class_weights(options.class_weight, classes, data.without_valid.targets or ())
    if pseudo is not None:
        rows = np.concatenate([rows, len(data) + np.arange(len(pseudo))])
        data = TextDataset([*data.texts, *pseudo.texts], [*(data.labels or ()), *(pseudo.labels or ())], data.source)
    with first_process_first("the labelled tokens"):
        corpus = cached_corpus(data.texts, start.tokenizer, folder and folder / "tokens", workers)
    labels, fingerprint = label_indices(data, classes), data.fingerprint()
    targets = labels[rows]
    if further is not None and further.targets is not None:
        targets = further.targets[rows]
        fingerprint += f" {hashlib.sha256(further.targets.tobytes()).hexdigest()}"
    batch_size = chosen_batch_size(options, len(rows))
    if further is not None:
        epochs = further.epochs or unfreezing_epochs(len(rows), batch_size)[0]
        stages = further_stages(epochs, further.learning_rate, further.lr_mult, options.weight_decay)
    elif pseudo is None or options.is_probe:
        stages = chosen_stages(options, len(rows), batch_size, start.architecture.n_layers + 2)
    else:
        stages = self_training_stages(unfreezing_epochs(len(rows), batch_size)[0], options.weight_decay)
    return ClassifierPlan(
        start,
        start.head or options.head(len(classes), multi_label=data.label_sets is not None),
        (corpus.select(rows), targets),
        (corpus.select(held_out), labels[held_out]) if len(held_out) else None,
        tuple(stages),
        chosen_settings(start.backwards, options, batch_size, weights),
        options.seed,
        fingerprint,
    )


def check_plan(options: ClassifierOptions, data: TextDataset) -> None:
    """Refuse now what would otherwise be refused after the language model's hours.

    Raises:
        ConfigError, DataError: the split, the stages, the batch size, the devices or the class weights cannot be had.
    """
    if data.label_sets is not None and options.rounds:
        raise ConfigError("self_training gives a text one label, but here a text may have several: leave it out")
    class_weights(options.class_weight, check_labels(data), data.without_valid.targets or ())
    rows, held_out = chosen_split(data, options)
    for name, is_given in (("keep_best", options.keep_best), ("patience", options.patience is not None)):
        if is_given and not len(held_out):
            raise ConfigError(
                f"{name} listens to texts that measure, and with validation_fraction 0 there are none: leave one out"
            )
    check_batches(options)
    chosen_stages(options, len(rows), chosen_batch_size(options, len(rows)), n_groups=5)


def check_batches(options: ClassifierOptions) -> None:
    """Refuse devices that cannot be had, and batches that do not divide over them.

    Raises:
        ConfigError: see above.
    """
    devices = Devices(options.devices)
    for name in ("batch_size", "lm_batch_size"):
        if (size := getattr(options, name)) is not None:
            devices.check_batch(size, name)
