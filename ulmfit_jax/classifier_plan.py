"""What a classifier's training will be: the split, the stages, the settings."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ulmfit_jax.artifact import Artifact
from ulmfit_jax.class_weights import class_weights
from ulmfit_jax.classifier_options import ClassifierOptions
from ulmfit_jax.data.corpus import Corpus, cached_corpus
from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.label_sets import rarest_labels
from ulmfit_jax.data.labels import check_labels, label_indices
from ulmfit_jax.data.split import train_validation_split
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.parameters import Tree, parameters_fingerprint
from ulmfit_jax.nn.products import chosen_precision
from ulmfit_jax.option_ranges import check_lr_mult, check_positive, make_whole
from ulmfit_jax.training.classifier import ClassifierTask
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.processes import first_process_first
from ulmfit_jax.training.recipes import (
    FINE_TUNE_RATE,
    FINE_TUNE_SPREAD,
    FURTHER_RATE,
    FURTHER_SPREAD,
    fine_tune_stages,
    further_stages,
    gradual_unfreezing_stages,
    linear_probe_stages,
    self_training_stages,
)
from ulmfit_jax.training.runs import ClassifierSettings, classifier_task
from ulmfit_jax.training.scaling import classifier_batch_size, unfreezing_epochs
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
    rows, held_out = _options_split(data, options)
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
    batch_size = _batch_size(options, len(rows))
    if further is not None:
        epochs = further.epochs or unfreezing_epochs(len(rows), batch_size)[0]
        stages = further_stages(epochs, further.learning_rate, further.lr_mult, options.weight_decay)
    elif pseudo is None or options.is_probe:
        stages = _stages(options, len(rows), batch_size, start.architecture.n_layers + 2)
    else:
        stages = self_training_stages(unfreezing_epochs(len(rows), batch_size)[0], options.weight_decay)
    return ClassifierPlan(
        start,
        start.head or options.head(len(classes), multi_label=data.label_sets is not None),
        (corpus.select(rows), targets),
        (corpus.select(held_out), labels[held_out]) if len(held_out) else None,
        tuple(stages),
        _settings(start.backwards, options, batch_size, weights),
        options.seed,
        fingerprint,
    )


def _settings(
    backwards: bool, options: ClassifierOptions, batch_size: int, weights: tuple[float, ...] | None
) -> ClassifierSettings:
    return ClassifierSettings(
        batch_size=batch_size,
        bptt=options.bptt,
        precision=chosen_precision(options.precision),
        max_length=options.max_length,
        drop_mult=options.drop_mult,
        label_smoothing=options.label_smoothing,
        adversarial=options.adversarial,
        class_weights=weights,
        cache_frozen=options.cache_frozen or options.is_probe,
        backwards=backwards,
        linear_probe=options.is_probe,
    )


def check_plan(options: ClassifierOptions, data: TextDataset) -> None:
    """Refuse now what would otherwise be refused after the language model's hours.

    Raises:
        ConfigError, DataError: the split, the stages, the batch size, the devices or the class weights cannot be had.
    """
    if data.label_sets is not None and options.rounds:
        raise ConfigError("self_training gives a text one label, but here a text may have several: leave it out")
    class_weights(options.class_weight, check_labels(data), data.without_valid.targets or ())
    rows, held_out = _options_split(data, options)
    for name, is_given in (("keep_best", options.keep_best), ("patience", options.patience is not None)):
        if is_given and not len(held_out):
            raise ConfigError(
                f"{name} listens to texts that measure, and with validation_fraction 0 there are none: leave one out"
            )
    check_batches(options)
    _stages(options, len(rows), _batch_size(options, len(rows)), n_groups=5)


def check_batches(options: ClassifierOptions) -> None:
    """Refuse devices that cannot be had, and batches that do not divide over them.

    Raises:
        ConfigError: see above.
    """
    devices = Devices(options.devices)
    for name in ("batch_size", "lm_batch_size"):
        if (size := getattr(options, name)) is not None:
            devices.check_batch(size, name)


def planned_configuration(
    n_layers: int, backwards: bool, data: TextDataset, classes: Sequence[str], options: ClassifierOptions
) -> dict[str, Any]:
    """What of a run's configuration is known before its language model is trained; see `run_configuration`.

    Args:
        n_layers: LSTM layers of the language model.
        backwards: whether it reads from the end.
        data: labelled texts.
        classes: names of the classes.
        options: see `TextClassifier`.
    """
    rows, held_out = _options_split(data, options)
    batch_size = _batch_size(options, len(rows))
    weights = class_weights(options.class_weight, classes, data.without_valid.targets or ())
    stages = _stages(options, len(rows), batch_size, n_layers + 2)
    settings, fingerprint = _settings(backwards, options, batch_size, weights), data.fingerprint()
    return _configuration(classes, (len(rows), len(held_out)), fingerprint, settings, stages, options)


def full_configuration(
    plan: ClassifierPlan, classes: Sequence[str], options: ClassifierOptions, pseudo_labelled: int
) -> dict[str, Any]:
    """A run's configuration, by which a second start is known to be that of the same run.

    Args:
        plan: what is trained.
        classes: names of the classes.
        options: see `TextClassifier`.
        pseudo_labelled: how many of the documents a model has labelled.
    """
    counts = len(plan.train[1]), 0 if plan.valid is None else len(plan.valid[1])
    return {
        "task": "classifier",
        "architecture": plan.start.architecture.to_dict(),
        "head": plan.head.to_dict(),
        "tokenizer": plan.start.tokenizer.fingerprint(),
        "start": _start_fingerprint(plan),
        "pseudo_labelled_documents": pseudo_labelled,
        **_configuration(classes, counts, plan.fingerprint, plan.settings, plan.stages, options),
    }


def _start_fingerprint(plan: ClassifierPlan) -> str | None:
    """That of the weights that training starts from: of a language model's encoder, or of a whole classifier."""
    if plan.start.kind != "classifier":
        return parameters_fingerprint(plan.branches.get("encoder", {}))
    return parameters_fingerprint({**plan.branches, "statistics": plan.start.statistics})


def _configuration(
    classes: Sequence[str],
    counts: tuple[int, int],
    fingerprint: str,
    settings: ClassifierSettings,
    stages: Sequence[Stage],
    options: ClassifierOptions,
) -> dict[str, Any]:
    """The part that is known before the language model is trained; `counts`: documents to learn from, to measure on."""
    documents, validation_documents = counts
    return {
        "labels": list(classes),
        "documents": documents,
        "validation_documents": validation_documents,
        "texts": fingerprint,
        "settings": _recorded_settings(settings, classes),
        "stages": [stage.to_dict() for stage in stages],
        "keep_best": options.keep_best,
        "patience": options.patience,
        "seed": options.seed,
    }


def _recorded_settings(settings: ClassifierSettings, classes: Sequence[str]) -> dict[str, Any]:
    """The settings for the run's configuration and the card: class weights by label, and only where there are some.

    Of a linear probe those that matter to it.
    """
    recorded = dict(vars(settings))
    del recorded["buckets"]  # how batches are rounded up changes no result
    if not settings.adversarial:
        del recorded["adversarial"]  # as in runs from before it
    weights = recorded.pop("class_weights")
    if recorded.pop("linear_probe"):
        recorded = {name: recorded[name] for name in ("bptt", "max_length", "backwards", "precision")}
    return recorded if weights is None else {**recorded, "class_weights": dict(zip(classes, weights, strict=True))}


def training_part(data: TextDataset, options: ClassifierOptions) -> TextDataset:
    """What is left of `data` to train on when the documents to measure on are taken out."""
    return data.select(_options_split(data, options)[0])


def split_rows(data: TextDataset, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `data` that are trained on, and those that measure each epoch: the texts that are set apart, or the share
    `fraction`, which may be 0."""
    if data.n_valid:
        first, last = len(data) - data.n_valid, len(data)
        return np.arange(first), np.arange(first, last)
    if not fraction:
        return np.arange(len(data)), np.zeros(0, np.int64)
    labels = data.labels if data.label_sets is None else rarest_labels(data.label_sets)
    return train_validation_split(data.texts, labels, fraction=fraction, seed=seed)


def _batch_size(options: ClassifierOptions, documents: int) -> int:
    return options.batch_size or Devices(options.devices).batch_of(classifier_batch_size(documents))


def _options_split(data: TextDataset, options: ClassifierOptions) -> tuple[np.ndarray, np.ndarray]:
    return split_rows(data, options.validation_fraction, options.seed)


def _stages(options: ClassifierOptions, documents: int, batch_size: int, n_groups: int) -> list[Stage]:
    if options.is_probe:
        return linear_probe_stages()
    chosen, unfreezing = options.epochs, unfreezing_epochs(documents, batch_size)
    if options.recipe == "fine_tune":
        pair = (unfreezing[0], unfreezing[-1]) if chosen is None else (1, chosen) if isinstance(chosen, int) else chosen
        if len(pair) != 2 or pair[1] < 1:
            raise ConfigError(f"epochs is {chosen!r}: fine_tune takes one number, such as 4, or two, such as (1, 4)")
        rate, spread = options.learning_rate or FINE_TUNE_RATE, options.lr_mult or FINE_TUNE_SPREAD
        return fine_tune_stages(pair[1], rate, pair[0], options.weight_decay, spread)
    four = unfreezing if chosen is None else (1, 1, 1, chosen) if isinstance(chosen, int) else chosen
    if len(four) != 4 or min(four) < 0 or not sum(four) or chosen == 0:
        raise ConfigError(
            f"epochs is {chosen!r}: gradual unfreezing takes four numbers, such as (1, 1, 1, 2), or one, its last"
        )
    if options.adversarial and not four[3]:
        raise ConfigError(
            f"adversarial acts where all layers train, but of the epochs {four!r} the last stage has none"
        )
    return gradual_unfreezing_stages(
        options.learning_rate or 2e-2, four, options.weight_decay, n_groups, options.lr_mult
    )
