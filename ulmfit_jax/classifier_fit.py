"""How a classifier comes out of labelled texts: its language model, and the run of its plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ulmfit_jax.artifact import Artifact, load_artifact
from ulmfit_jax.classifier_configuration import full_configuration, planned_configuration
from ulmfit_jax.classifier_options import ClassifierOptions
from ulmfit_jax.classifier_plan import Further, classifier_plan
from ulmfit_jax.counted import counted
from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.errors import ArtifactError, ConfigError
from ulmfit_jax.language_model import LanguageModel
from ulmfit_jax.nn.architecture import Architecture, preset
from ulmfit_jax.pretrained import language_models_of, model_folder
from ulmfit_jax.progress import ConsoleProgress
from ulmfit_jax.training.linear_probe import check_classes
from ulmfit_jax.training.loop_options import LoopOptions, kept_row
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.processes import first_process_first, is_first
from ulmfit_jax.training.run_configuration import check_part, has_state
from ulmfit_jax.training.run_folder import RunFolder
from ulmfit_jax.training.runs import RunContext, train_classifier

_COUNTS = ("documents", "pseudo_labelled_documents", "validation_documents", "seed")
"""Figures of a run that its card shows."""

LANGUAGE_MODEL, CLASSIFIER, FURTHER = "language_model", "classifier", "further_training"
"""The folders of their tables and states in the run folder."""


def starting_language_model(options: ClassifierOptions) -> LanguageModel:
    """The language model that the classifier starts from, not yet fine-tuned, with the options of its fine-tuning.

    Raises:
        ConfigError: an encoder alone is to be fine-tuned.
        ArtifactError: there is no such model, or it is a classifier.
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
    if start is not None and start.kind == "encoder" and options.lm_epochs:
        raise ConfigError(
            f"{options.start_name} is an encoder alone, which cannot be fine-tuned as a language model: "
            "leave lm_epochs out, or give the whole language model"
        )
    return model


def check_probe(options: ClassifierOptions, n_classes: int) -> None:
    """Refuse a linear probe of too many classes, before its language model is trained.

    Raises:
        ConfigError: see above.
    """
    if options.is_probe:
        sizes, _ = _starting_sizes(options)
        check_classes(sizes, options.head(n_classes, multi_label=False))


def check_classifier_folder(
    folder: Path, data: TextDataset, classes: Sequence[str], options: ClassifierOptions
) -> None:
    """Refuse a run folder whose classifier was trained with other options, before its language model goes on.

    Raises:
        ConfigError: it names the first difference.
    """
    place = folder / CLASSIFIER
    if not has_state(place):
        return
    sizes, backwards = _starting_sizes(options)
    check_part(place, planned_configuration(sizes.n_layers, backwards, data, classes, options))


def fine_tuned_language_model(
    options: ClassifierOptions, texts: Sequence[str], folder: Path | None, workers: int
) -> tuple[Artifact, list[dict[str, Any]]]:
    """The language model or encoder that the classifier starts from, fine-tuned on `texts` unless `lm_epochs` is 0.

    With a run folder, the fine-tuned model is left in `language_model/model` there.

    Returns:
        The model (without parameters from scratch with `lm_epochs` 0), and its rows of the table of epochs.
    """
    model = starting_language_model(options)
    is_encoder = model.pretrained is not None and model.artifact.kind == "encoder"
    if is_encoder or options.lm_epochs == 0:
        return model.starting_point(texts, is_trained=False), []
    place = folder and folder / LANGUAGE_MODEL
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
    further: Further | None = None,
) -> tuple[Artifact, list[dict[str, Any]]]:
    """Train a classifier on the encoder of `start`, or go on with a classifier.

    Args:
        start: from `fine_tuned_language_model`; with `more` or `further`, the classifier that goes on.
        data: labelled texts.
        classes: names of the classes, in the order of the outputs.
        options: see `TextClassifier`.
        folder: the run folder, or None.
        workers: processes that tokenise.
        more: a round of self-training: its name, and more texts to train on, labelled by machine.
        further: how a classifier learns on from `data`, which are then other texts than before.

    Returns:
        The trained classifier and its rows of the table of epochs.
    """
    name, pseudo = more or (CLASSIFIER if further is None else FURTHER, None)
    plan = classifier_plan(start, data, classes, options, folder, workers, pseudo, further)
    config = full_configuration(plan, classes, options, 0 if pseudo is None else len(pseudo))
    context = RunContext(
        Devices(options.devices),
        RunFolder(folder / name, config) if folder else None,
        LoopOptions(keep_best=options.keep_best, patience=options.patience, skip_nonfinite=options.skip_nonfinite),
        ConsoleProgress() if options.verbose and is_first() else None,
    )
    result = train_classifier(
        start.architecture,
        plan.head,
        plan.branches,
        plan.train,
        plan.valid,
        plan.stages,
        plan.settings,
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
        plan.head,
        start.backwards,
        {"bptt": options.bptt, "max_length": options.max_length},
        _provenance(start, options, config, result.history, further is not None),
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
        raise ArtifactError(_no_start(options.pretrained))
    return artifact


def _starting_sizes(options: ClassifierOptions) -> tuple[Architecture, bool]:
    """Those of the language model that training starts from, and whether it reads from the end."""
    start = _pretrained(options)
    return (preset(options.preset or "small"), False) if start is None else (start.architecture, start.backwards)


def _no_start(name: str | Path) -> str:
    """A sentence for somebody who wants to start from a classifier."""
    sentence = f"{name} is a classifier, and training starts from a language model or an encoder"
    beside = language_models_of(model_folder(name))
    return f"{sentence}: give {beside[0]}, which its run has left" if beside else sentence


def _provenance(
    start: Artifact, options: ClassifierOptions, config: dict[str, Any], history: list[dict[str, Any]], is_further: bool
) -> dict[str, Any]:
    row = kept_row(history, options.keep_best)
    is_last = row is history[-1]
    figures = {name: value for name, value in row.items() if not is_last or name not in ("stage", "epoch")}
    epochs = Counter(row["stage"] for row in history)  # fewer than planned where patience has ended a stage
    before: dict[str, Any] = {
        "trained_from": options.start_name,
        "recipe": options.recipe,
        "stages": [],
        "language_model": start.provenance,
    }
    if start.kind == "classifier":
        before = {**before, **start.provenance}
    earlier = before.get("training", {})
    training = {name: config[name] for name in _COUNTS} | config["settings"]
    training["pseudo_labelled_documents"] += earlier.get("pseudo_labelled_documents", 0)
    if is_further:
        training["documents_before"] = earlier.get("documents_before", 0) + earlier.get("documents", 0)
    return {
        "trained_from": before["trained_from"],
        "recipe": before["recipe"],
        "training": training,
        "stages": [
            *before["stages"],
            *(f"{stage['name']}, {counted(epochs[stage['name']], 'epoch')}" for stage in config["stages"]),
        ],
        "language_model": before["language_model"],
        "last_epoch" if is_last else "best_epoch": figures,
    }
