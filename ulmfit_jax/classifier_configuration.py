"""A classifier run's configuration: what decides its result, by which a second start is known to be the same run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ulmfit_jax.class_weights import class_weights
from ulmfit_jax.classifier_choices import chosen_batch_size, chosen_settings, chosen_split, chosen_stages
from ulmfit_jax.classifier_options import ClassifierOptions
from ulmfit_jax.classifier_plan import ClassifierPlan
from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.nn.parameters import parameters_fingerprint
from ulmfit_jax.training.runs import ClassifierSettings
from ulmfit_jax.training.stages import Stage


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
    rows, held_out = chosen_split(data, options)
    batch_size = chosen_batch_size(options, len(rows))
    weights = class_weights(options.class_weight, classes, data.without_valid.targets or ())
    stages = chosen_stages(options, len(rows), batch_size, n_layers + 2)
    settings, fingerprint = chosen_settings(backwards, options, batch_size, weights), data.fingerprint()
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
