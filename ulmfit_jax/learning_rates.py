"""The learning-rate finder on the faces: which peak rates suit a language model or a classifier on some texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ulmfit_jax.classifier_fit import starting_language_model
from ulmfit_jax.classifier_plan import classifier_plan
from ulmfit_jax.data.corpus import corpus_in_memory
from ulmfit_jax.data.labels import check_labels
from ulmfit_jax.data.lists import check_rereadable, labelled_texts
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.language_model import LanguageModel
from ulmfit_jax.language_model_plan import language_model_plan
from ulmfit_jax.text_classifier import TextClassifier
from ulmfit_jax.training.lr_finder import LearningRates, find_learning_rate
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.task import Task


def language_model_rates(
    model: LanguageModel, texts: Sequence[str], *, layers: int | None = None, workers: int = 1, **finder: Any
) -> LearningRates:
    """Rates for `LanguageModel(learning_rate=…)` by a short run on `texts`; the model stays as it is.

    Args:
        model: what would be fine-tuned, or trained from scratch.
        texts: documents.
        layers: how many layer groups train, from the last (embedding and decoder); None: all.
        workers: processes that tokenise.
        finder: `start`, `end`, `steps` and `told` of `find_learning_rate`.

    Raises:
        DataError: there is too little text.
        ConfigError: there are fewer layer groups.
    """
    check_rereadable(texts)
    start = model.starting_point(texts)
    plan = language_model_plan(start, corpus_in_memory(texts, start.tokenizer, workers), None, model.options)
    devices = Devices(model.options.devices)
    task = plan.task(devices)
    parameters = start.parameters or task.definition.initialise(plan.seed)[0]
    return find_learning_rate(
        task,
        parameters,
        {},
        devices,
        group=_first_group(task, layers),
        weight_decay=plan.stages[-1].weight_decay,
        seed=plan.seed,
        **finder,
    )


def classifier_rates(
    model: TextClassifier,
    texts: Sequence[str],
    labels: Sequence[Any],
    *,
    layers: int | None = 1,
    workers: int = 1,
    **finder: Any,
) -> LearningRates:
    """Rates for `TextClassifier(learning_rate=…)` by a short run on labelled texts; the model stays as it is.

    The language model is taken as it is: fine-tune it first, and give it as `pretrained`.

    Args:
        model: what would be trained.
        texts: documents.
        labels: one for each.
        layers: how many layer groups train, from the last; 1 is the head alone, as in the first stage; None: all.
        workers: processes that tokenise.
        finder: `start`, `end`, `steps` and `told` of `find_learning_rate`.

    Raises:
        DataError: no texts, not one label for each, a single class.
        ConfigError: there are fewer layer groups.
    """
    data = labelled_texts(texts, labels, "the training data")
    classes = check_labels(data)
    start = starting_language_model(model.options).starting_point(data.texts, is_trained=False)
    plan = classifier_plan(start, data, classes, model.options, None, workers)
    devices = Devices(model.options.devices)
    task = plan.task(devices)
    parameters, statistics = task.definition.initialise(plan.seed)
    return find_learning_rate(
        task,
        {**parameters, **plan.branches},
        statistics,
        devices,
        group=_first_group(task, layers),
        weight_decay=plan.stages[0].weight_decay,
        seed=plan.seed,
        **finder,
    )


def _first_group(task: Task, layers: int | None) -> int:
    """The index of the first layer group that trains."""
    if layers is None:
        return 0
    if not 1 <= layers <= len(task.groups):
        names = ", ".join(group.name for group in task.groups)
        raise ConfigError(f"layers is {layers}: this network has {len(task.groups)} layer groups ({names})")
    return len(task.groups) - layers
