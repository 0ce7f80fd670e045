"""What training would do with some texts, and about how long it would take here; nothing is trained."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ulmfit_jax.classifier_fit import starting_language_model
from ulmfit_jax.classifier_plan import ClassifierPlan, check_plan, classifier_plan
from ulmfit_jax.data.corpus import build_corpus, corpus_in_memory
from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.labels import check_labels
from ulmfit_jax.language_model import LanguageModel
from ulmfit_jax.language_model_plan import LanguageModelPlan, language_model_plan
from ulmfit_jax.self_training import drawn_rounds
from ulmfit_jax.text_classifier import TextClassifier
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.recipes import self_training_stages
from ulmfit_jax.training.scaling import unfreezing_epochs
from ulmfit_jax.training_estimate import ClassifierTimes, language_model_estimate, stage_row


def dry_run(
    model: TextClassifier,
    data: TextDataset,
    unlabeled: Sequence[str] = (),
    test: Sequence[str] = (),
    workers: int = 1,
) -> dict[str, Any]:
    """The plan of a training, with times estimated from a few real steps of each of its programs.

    Texts are read and tokenised as in training (from scratch, a tokeniser is trained), and every program is compiled.

    Args:
        model: what would be trained.
        data: labelled texts.
        unlabeled: more texts, for the language model and for self-training.
        test: texts that would be predicted at the end.
        workers: processes that tokenise.

    Returns:
        `documents`, `classes`, `tokens`, `parameters`, `vocabulary`, `batch_size`, `precision`, `devices`; `stages`, in
        their order, each with `part`, `name`, `epochs`, `steps`, `learning_rate`, `seconds`, of which `compiling`;
        `seconds` of all stages; `measured_in`, the seconds that this took.

    Raises:
        DataError, ConfigError, ArtifactError: what `TextClassifier.fit` would raise at its start.
    """
    started = time.monotonic()
    options = model.options
    classes = check_labels(data)
    check_plan(options, data)
    rounds = [len(texts) for texts in drawn_rounds(unlabeled, options.rounds, options.seed)]
    devices = Devices(options.devices)
    language_model = starting_language_model(options)
    texts = [*data.texts, *unlabeled]
    start = language_model.starting_point(texts)
    rows: list[dict[str, Any]] = []
    lm_tokens = 0
    if start.kind != "encoder" and options.lm_epochs != 0:
        corpus = corpus_in_memory(texts, start.tokenizer, workers)
        lm_plan = language_model_plan(start, corpus, None, language_model.options)
        lm_tokens = corpus.n_tokens
        rows += [{"part": "language_model", **row} for row in language_model_estimate(lm_plan, devices)]
    plan = classifier_plan(start, data, classes, options, None, workers)
    times = ClassifierTimes(plan, devices)
    rows += [{"part": "classifier", **row} for row in times.rows()]
    for count in rounds:
        rows.append({"part": "self_training", **_self_training(times, plan, count)})
    if test:
        tokens = corpus_in_memory(test, start.tokenizer, workers).n_tokens
        rows.append(_testing(times.scoring_rate() * tokens))
    validation = 0 if plan.valid is None else len(plan.valid[1])
    return {
        "documents": {"labelled": len(data), "validation": validation, "unlabelled": len(unlabeled), "test": len(test)},
        "classes": list(classes),
        "tokens": {
            "language_model": lm_tokens,
            "classifier": plan.train[0].n_tokens + (plan.valid[0].n_tokens if plan.valid else 0),
        },
        "parameters": times.parameter_count,
        **_figures(plan, devices, rows, started),
    }


def language_model_dry_run(model: LanguageModel, texts: Iterable[str], workers: int = 1) -> dict[str, Any]:
    """The plan of a language model's training, as `dry_run` gives it.

    Args:
        model: what would be trained.
        texts: documents, read more than once; they may be more than fit into memory, their tokens lie in a temporary
            folder meanwhile.
        workers: processes that tokenise.

    Raises:
        DataError, ConfigError: what `LanguageModel.fit` would raise at its start.
    """
    started = time.monotonic()
    devices = Devices(model.options.devices)
    start = model.starting_point(texts)
    with tempfile.TemporaryDirectory(prefix="ulmfit-dry-run-") as folder:
        corpus = build_corpus(texts, start.tokenizer, Path(folder) / "tokens", workers)
        plan = language_model_plan(start, corpus, None, model.options)
        rows = [{"part": "language_model", **row} for row in language_model_estimate(plan, devices)]
        validation = 0 if plan.valid is None else len(plan.valid)
        documents, tokens = len(corpus), corpus.n_tokens
    return {
        "documents": {"read": documents, "validation": validation},
        "tokens": {"language_model": tokens},
        "parameters": start.architecture.parameter_count(),
        **_figures(plan, devices, rows, started),
    }


def _figures(
    plan: ClassifierPlan | LanguageModelPlan, devices: Devices, rows: list[dict[str, Any]], started: float
) -> dict[str, Any]:
    """What the plans of both kinds of training say; `started` is when measuring began."""
    return {
        "batch_size": plan.settings.batch_size,
        "vocabulary": plan.start.architecture.vocabulary_size,
        "precision": plan.settings.precision,
        "devices": f"{len(devices)} {devices.devices[0].platform}",
        "stages": rows,
        "seconds": round(sum(row["seconds"] for row in rows), 3),
        "measured_in": round(time.monotonic() - started, 3),
    }


def _self_training(times: ClassifierTimes, plan: ClassifierPlan, more: int) -> dict[str, Any]:
    """The row of a round of self-training: `more` texts are labelled, then all are trained on; each is taken to be as
    long as a labelled document."""
    corpus, labels = plan.train
    documents = len(labels)
    total = documents + more
    stage = self_training_stages(unfreezing_epochs(total, plan.settings.batch_size)[0])[0]
    epoch, compiling = times.training_seconds(stage)
    labelling = times.scoring_rate() * corpus.n_tokens / documents * more
    seconds = stage.epochs * epoch * total / documents + labelling
    return stage_row(stage, max(total // plan.settings.batch_size, 1), seconds, compiling)


def _testing(seconds: float) -> dict[str, Any]:
    named = {"part": "test", "name": "test", "epochs": None, "steps": None, "learning_rate": None}
    return {**named, "seconds": round(seconds, 3), "compiling": 0.0}
