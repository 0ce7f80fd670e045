"""How a classifier comes out of labelled texts: its language model, the split, the stages, the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ulmfit_jax.artifact import Artifact, load_artifact
from ulmfit_jax.classifier_options import ClassifierOptions
from ulmfit_jax.data.corpus import cached_corpus, texts_fingerprint
from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.labels import label_indices
from ulmfit_jax.data.split import train_validation_split
from ulmfit_jax.errors import ArtifactError, ConfigError
from ulmfit_jax.language_model import LanguageModel
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.parameters import parameters_fingerprint
from ulmfit_jax.nn.products import chosen_precision
from ulmfit_jax.pretrained import model_folder
from ulmfit_jax.progress import ConsoleProgress
from ulmfit_jax.training.loop_options import LoopOptions
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.processes import first_process_first, is_first
from ulmfit_jax.training.recipes import fine_tune_stages, gradual_unfreezing_stages, self_training_stages
from ulmfit_jax.training.run_folder import RunFolder
from ulmfit_jax.training.runs import ClassifierSettings, RunContext, train_classifier
from ulmfit_jax.training.scaling import classifier_batch_size, unfreezing_epochs
from ulmfit_jax.training.stages import Stage

_COUNTS = ("documents", "pseudo_labelled_documents", "validation_documents", "seed")
"""Figures of a run that its card shows."""


def check_plan(options: ClassifierOptions, data: TextDataset) -> None:
    """Refuse now what would otherwise be refused after the language model's hours.

    Raises:
        ConfigError, DataError: the split, the stages, the batch size or the devices cannot be had.
    """
    rows, _ = _options_split(data, options)
    batch_size = options.batch_size or classifier_batch_size(len(rows))
    Devices(options.devices).check_batch(batch_size)
    _stages(options, len(rows), batch_size, n_groups=5)


def fine_tuned_language_model(
    options: ClassifierOptions, texts: Sequence[str], folder: Path | None, workers: int
) -> tuple[Artifact, list[dict[str, Any]]]:
    """The language model or encoder that the classifier starts from, fine-tuned on `texts` unless `lm_epochs` is 0.

    With a run folder, the fine-tuned model is left in `language_model/model` there.

    Returns:
        The model (without parameters from scratch with `lm_epochs` 0), and its rows of the table of epochs.
    """
    start = _pretrained(options)
    training: dict[str, Any] = {
        "epochs": options.lm_epochs,
        "learning_rate": options.lm_learning_rate,
        "drop_mult": options.lm_drop_mult,
        "batch_size": options.lm_batch_size,
        "bptt": options.bptt,
        "precision": options.precision,
        "skip_nonfinite": options.skip_nonfinite,
        "seed": options.seed,
        "devices": options.devices,
        "verbose": options.verbose,
    }
    if start is None:
        model = LanguageModel(None, options.preset, **training)
    else:
        model = LanguageModel.from_artifact(start, name=options.start_name, **training)
    is_encoder = start is not None and start.kind == "encoder"
    if is_encoder and options.lm_epochs:
        raise ConfigError(
            f"{options.start_name} is an encoder alone, which cannot be fine-tuned as a language model: "
            "leave lm_epochs out, or give the whole language model"
        )
    if is_encoder or options.lm_epochs == 0:
        return model.starting_point(texts), []
    place = folder and folder / "language_model"
    model.fit(texts, run_dir=place, workers=workers)
    with first_process_first("the language model"):
        if place and not (place / "model").exists():
            model.save(place / "model")
    return model.artifact, model.history


def fit_classifier(
    start: Artifact,
    data: TextDataset,
    classes: Sequence[str],
    options: ClassifierOptions,
    folder: Path | None,
    workers: int,
    more: tuple[str, TextDataset] | None = None,
) -> tuple[Artifact, list[dict[str, Any]]]:
    """Train a classifier on the encoder of `start`, or go on with a classifier.

    Args:
        start: from `fine_tuned_language_model`; with `more`, the classifier that goes on.
        data: labelled texts.
        classes: names of the classes, in the order of the outputs.
        options: see `TextClassifier`.
        folder: the run folder, or None.
        workers: processes that tokenise.
        more: a round of self-training: its name, and more texts to train on, labelled by machine.

    Returns:
        The trained classifier and its rows of the table of epochs.
    """
    rows, held_out = _options_split(data, options)
    name, pseudo = more or ("classifier", None)
    if pseudo is not None:
        rows = np.concatenate([rows, len(data) + np.arange(len(pseudo))])
        data = TextDataset([*data.texts, *pseudo.texts], [*(data.labels or ()), *(pseudo.labels or ())], data.source)
    with first_process_first("the labelled tokens"):
        corpus = cached_corpus(data.texts, start.tokenizer, folder and folder / "tokens", workers)
    labels = label_indices(data, classes)
    settings = ClassifierSettings(
        batch_size=options.batch_size or classifier_batch_size(len(rows)),
        bptt=options.bptt,
        precision=chosen_precision(options.precision),
        max_length=options.max_length,
        drop_mult=options.drop_mult,
        label_smoothing=options.label_smoothing,
        cache_frozen=options.cache_frozen,
        backwards=start.backwards,
    )
    if pseudo is None:
        stages = _stages(options, len(rows), settings.batch_size, start.architecture.n_layers + 2)
    else:
        stages = self_training_stages(unfreezing_epochs(len(rows), settings.batch_size)[0], options.weight_decay)
    head = start.head or Head(len(classes))
    kept = {name: branch for name, branch in start.parameters.items() if name != "decoder"}
    config = {
        "task": "classifier",
        "architecture": start.architecture.to_dict(),
        "head": head.to_dict(),
        "tokenizer": start.tokenizer.fingerprint(),
        "start": parameters_fingerprint(kept.get("encoder", {})),
        "labels": list(classes),
        "documents": len(rows),
        "pseudo_labelled_documents": 0 if pseudo is None else len(pseudo),
        "validation_documents": len(held_out),
        "texts": texts_fingerprint([*data.texts, *(data.labels or ())]),
        "settings": vars(settings),
        "stages": [stage.to_dict() for stage in stages],
        "keep_best": options.keep_best,
        "patience": options.patience,
        "seed": options.seed,
    }
    context = RunContext(
        Devices(options.devices),
        RunFolder(folder / name, config) if folder else None,
        LoopOptions(keep_best=options.keep_best, patience=options.patience, skip_nonfinite=options.skip_nonfinite),
        ConsoleProgress() if options.verbose and is_first() else None,
    )
    result = train_classifier(
        start.architecture,
        head,
        kept,
        (corpus.select(rows), labels[rows]),
        (corpus.select(held_out), labels[held_out]) if len(held_out) else None,
        stages,
        settings,
        options.seed,
        context,
        start.statistics,
    )
    artifact = Artifact(
        "classifier",
        start.architecture,
        start.tokenizer,
        result.parameters,
        result.statistics,
        tuple(classes),
        head,
        start.backwards,
        {"bptt": options.bptt, "max_length": options.max_length},
        _provenance(start, options, config, result.history),
    )
    return artifact, result.history


def _pretrained(options: ClassifierOptions) -> Artifact | None:
    """What `pretrained` names; None from scratch."""
    if options.pretrained is None:
        return None
    if isinstance(options.pretrained, LanguageModel):
        return options.pretrained.artifact
    artifact = load_artifact(model_folder(options.pretrained))
    if artifact.kind == "classifier":
        raise ArtifactError(f"{options.pretrained} is a classifier: pretrained takes a language model or an encoder")
    return artifact


def training_part(data: TextDataset, options: ClassifierOptions) -> TextDataset:
    """What is left of `data` to train on when the documents to measure on are taken out."""
    return data.select(_options_split(data, options)[0])


def split_rows(data: TextDataset, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `data` that are trained on, and those that measure each epoch: the share `fraction`, which may be 0."""
    if not fraction:
        return np.arange(len(data)), np.zeros(0, np.int64)
    return train_validation_split(data.texts, data.labels, fraction=fraction, seed=seed)


def _options_split(data: TextDataset, options: ClassifierOptions) -> tuple[np.ndarray, np.ndarray]:
    return split_rows(data, options.validation_fraction, options.seed)


def _stages(options: ClassifierOptions, documents: int, batch_size: int, n_groups: int) -> list[Stage]:
    epochs = options.epochs if options.epochs is not None else unfreezing_epochs(documents, batch_size)
    if options.recipe == "fine_tune":
        whole = epochs if isinstance(epochs, int) else sum(epochs) - 1
        return fine_tune_stages(whole, options.learning_rate or 1e-2, weight_decay=options.weight_decay)
    if isinstance(epochs, int) or len(epochs) != 4 or not sum(epochs):
        raise ConfigError(f"epochs is {epochs!r}: gradual unfreezing takes four numbers, such as (1, 1, 1, 2)")
    return gradual_unfreezing_stages(options.learning_rate or 2e-2, epochs, options.weight_decay, n_groups)


def _provenance(
    start: Artifact, options: ClassifierOptions, config: dict[str, Any], history: list[dict[str, Any]]
) -> dict[str, Any]:
    last = {name: value for name, value in history[-1].items() if name not in ("stage", "epoch")}
    before: dict[str, Any] = {"stages": [], "language_model": start.provenance}
    if start.kind == "classifier":
        before = start.provenance
    training = {name: config[name] for name in _COUNTS} | config["settings"]
    training["pseudo_labelled_documents"] += before.get("training", {}).get("pseudo_labelled_documents", 0)
    return {
        "trained_from": options.start_name,
        "recipe": options.recipe,
        "training": training,
        "stages": [*before["stages"], *(f"{stage['name']}, {stage['epochs']} epochs" for stage in config["stages"])],
        "language_model": before["language_model"],
        "last_epoch": last,
    }
