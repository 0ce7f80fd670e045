"""What training would do with some texts, and about how long it would take here; nothing is trained."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ulmfit_jax.classifier_configuration import full_configuration
from ulmfit_jax.classifier_fit import (
    CLASSIFIER,
    FURTHER,
    LANGUAGE_MODEL,
    check_classifier_folder,
    check_probe,
    starting_language_model,
)
from ulmfit_jax.classifier_plan import ClassifierPlan, Further, check_plan, classifier_plan
from ulmfit_jax.classifier_programs import ClassifierPrograms
from ulmfit_jax.data.corpus import build_corpus, corpus_in_memory, texts_fingerprint
from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.labels import check_labels
from ulmfit_jax.language_model import LanguageModel
from ulmfit_jax.language_model_fit import language_model_configuration
from ulmfit_jax.language_model_plan import LanguageModelPlan, language_model_plan
from ulmfit_jax.language_model_programs import plan_language_model
from ulmfit_jax.report.stages import finished_epochs
from ulmfit_jax.self_training import drawn_rounds, round_name
from ulmfit_jax.text_classifier import TextClassifier
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.recipes import FURTHER_RATE, FURTHER_SPREAD
from ulmfit_jax.training.run_configuration import check_part, has_state
from ulmfit_jax.training.run_folder import RunFolder
from ulmfit_jax.training_estimate import Planned

MEASURING_SECONDS = 20.0
"""For so long programs are measured; what has begun is waited for."""

Announce = Callable[[dict[str, Any]], None]
"""Is given the plan before anything is measured."""


def _nobody(plan: dict[str, Any]) -> None:
    """Ignored."""


def dry_run(
    model: TextClassifier,
    data: TextDataset,
    unlabeled: Sequence[str] = (),
    test: Sequence[str] = (),
    workers: int = 1,
    *,
    co_training: int = 0,
    run_dir: str | Path | None = None,
    announce: Announce = _nobody,
    seconds: float = MEASURING_SECONDS,
) -> dict[str, Any]:
    """The plan of a training, with times estimated from a few real steps of some of its programs.

    Texts are read and tokenised as in training (from scratch, a tokeniser is trained). One program is compiled and
    timed in any case, then one of the classifier, and others as long as `seconds` allow; the times of the rest follow
    from these by the number of multiplications.

    Args:
        model: what would be trained.
        data: labelled texts.
        unlabeled: more texts, for the language model, self-training and co-training.
        test: texts that would be predicted at the end.
        workers: processes that tokenise.
        co_training: how many of the unlabelled texts n-grams will learn from; see `Ensemble.learn_ngrams`.
        run_dir: folder of the run, which is only read: the times are those of what is left to do there.
        announce: gets the plan without times as soon as the texts are tokenised.
        seconds: of measuring, about.

    Returns:
        `documents`, `classes`, `tokens`, `parameters`, `vocabulary`, `batch_size`, `precision`, `devices`; `stages`, in
        their order, each with `part`, `name`, `epochs`, `done` (those that `run_dir` has finished; missing: none),
        `steps`, `learning_rate`, `seconds`, of which `compiling`; `seconds` of all stages; `programs`, how many there
        are, and `measured`, how many of them were measured; `measured_in`, the seconds that measuring took.

    Raises:
        DataError, ConfigError, ArtifactError: what `TextClassifier.fit` would raise at its start.
    """
    options = model.options
    classes = check_labels(data)
    check_plan(options, data)
    check_probe(options, len(classes))
    rounds = [len(texts) for texts in drawn_rounds(unlabeled, options.rounds, options.seed, data.texts)]
    folder = None if run_dir is None else Path(run_dir)
    if folder is not None:
        check_classifier_folder(folder, data, classes, options)
    devices, planned = Devices(options.devices), Planned()
    language_model = starting_language_model(options)
    texts = [*data.without_valid.texts, *unlabeled]
    start = language_model.starting_point(texts, is_trained=options.lm_epochs != 0)
    lm_tokens = 0
    if start.kind != "encoder" and options.lm_epochs != 0:
        corpus = corpus_in_memory(texts, start.tokenizer, workers)
        lm_tokens = corpus.n_tokens
        lm_plan = language_model_plan(start, corpus, None, language_model.options)
        if folder is not None:
            _check_language_model_folder(folder, lm_plan, language_model, texts)
        plan_language_model(planned, lm_plan, devices)
    plan = classifier_plan(start, data, classes, options, None, workers)
    if folder is not None and not lm_tokens:  # it starts from what is known already
        check_part(folder / CLASSIFIER, full_configuration(plan, classes, options, 0))
    programs = ClassifierPrograms(planned, plan, devices)
    programs.add_stages()
    for number, count in enumerate(rounds, 1):
        programs.add_self_training(round_name(number), count, options.batch_size)
    if co_training:
        (more,) = drawn_rounds(unlabeled, [co_training], options.seed, data.texts)
        programs.add_co_training(len(more))
    if test:
        programs.add_test(corpus_in_memory(test, start.tokenizer, workers).n_tokens)
    if folder is not None:
        _leave_out_finished(planned, folder)
    validation = 0 if plan.valid is None else len(plan.valid[1])
    report = {
        "documents": {"labelled": len(data), "validation": validation, "unlabelled": len(unlabeled), "test": len(test)},
        "classes": list(classes),
        "tokens": {
            "language_model": lm_tokens,
            "classifier": plan.train[0].n_tokens + (plan.valid[0].n_tokens if plan.valid else 0),
        },
        "parameters": programs.parameter_count,
        **_figures(plan, devices, planned),
    }
    return _measured(report, planned, announce, seconds)


def language_model_dry_run(
    model: LanguageModel,
    texts: Iterable[str],
    workers: int = 1,
    *,
    run_dir: str | Path | None = None,
    announce: Announce = _nobody,
    seconds: float = MEASURING_SECONDS,
) -> dict[str, Any]:
    """The plan of a language model's training, as `dry_run` gives it.

    Args:
        model: what would be trained.
        texts: documents, read more than once; they may be more than fit into memory, their tokens lie in a temporary
            folder meanwhile.
        workers: processes that tokenise.
        run_dir, announce, seconds: as there.

    Raises:
        DataError, ConfigError: what `LanguageModel.fit` would raise at its start.
    """
    devices, planned = Devices(model.options.devices), Planned()
    start = model.starting_point(texts)
    with tempfile.TemporaryDirectory(prefix="ulmfit-dry-run-") as folder:
        corpus = build_corpus(texts, start.tokenizer, Path(folder) / "tokens", workers)
        plan = language_model_plan(start, corpus, None, model.options)
        plan_language_model(planned, plan, devices)
        if run_dir is not None:
            _check_language_model_folder(Path(run_dir), plan, model, texts)
            _leave_out_finished(planned, Path(run_dir))
        report = {
            "documents": {"read": len(corpus), "validation": 0 if plan.valid is None else len(plan.valid)},
            "tokens": {"language_model": corpus.n_tokens},
            "parameters": start.architecture.parameter_count(),
            **_figures(plan, devices, planned),
        }
        return _measured(report, planned, announce, seconds)


def further_dry_run(
    model: TextClassifier,
    data: TextDataset,
    workers: int = 1,
    *,
    epochs: int | None = None,
    learning_rate: float = FURTHER_RATE,
    lr_mult: float = FURTHER_SPREAD,
    run_dir: str | Path | None = None,
    announce: Announce = _nobody,
    seconds: float = MEASURING_SECONDS,
) -> dict[str, Any]:
    """The plan of `TextClassifier.learn_from`, as `dry_run` gives it.

    Args:
        model: a trained classifier.
        data: texts; without labels those that a teacher will have read, whose time is not estimated.
        workers: processes that tokenise.
        epochs, learning_rate, lr_mult: see `TextClassifier.learn_from`.
        run_dir, announce, seconds: as in `dry_run`.

    Raises:
        DataError, ConfigError: what `TextClassifier.learn_from` would raise at its start.
    """
    start, options, further = model.artifact, model.options, Further(learning_rate, lr_mult, epochs)
    labelled = data
    if data.targets is None:
        labelled = TextDataset(data.texts, [model.class_names[0]] * len(data), data.source)
    plan = classifier_plan(start, labelled, model.class_names, options, None, workers, further=further)
    devices, planned = Devices(options.devices), Planned()
    programs = ClassifierPrograms(planned, plan, devices)
    programs.add_stages(FURTHER)
    if run_dir is not None:
        if data.targets is not None:
            check_part(Path(run_dir) / FURTHER, full_configuration(plan, model.class_names, options, 0))
        _leave_out_finished(planned, Path(run_dir))
    validation = 0 if plan.valid is None else len(plan.valid[1])
    report = {
        "documents": {"labelled": len(data), "validation": validation, "unlabelled": 0, "test": 0},
        "classes": list(model.class_names),
        "tokens": {"classifier": plan.train[0].n_tokens + (plan.valid[0].n_tokens if plan.valid else 0)},
        "parameters": programs.parameter_count,
        **_figures(plan, devices, planned),
    }
    return _measured(report, planned, announce, seconds)


def _check_language_model_folder(
    folder: Path, plan: LanguageModelPlan, model: LanguageModel, texts: Iterable[str]
) -> None:
    """Refuse a run folder with another language model's training, as that training would."""
    place = folder / LANGUAGE_MODEL
    if has_state(place):
        RunFolder(place, language_model_configuration(plan, model.start_name, texts_fingerprint(texts)))


def _leave_out_finished(planned: Planned, folder: Path) -> None:
    """Epochs from whose states the run in `folder` would go on."""
    epochs = finished_epochs(folder)
    planned.leave_out({(part, stage): n for (part, stage), n in epochs.items() if has_state(folder / part)})


def _figures(plan: ClassifierPlan | LanguageModelPlan, devices: Devices, planned: Planned) -> dict[str, Any]:
    """What the plans of both kinds of training say."""
    return {
        "batch_size": plan.settings.batch_size,
        "vocabulary": plan.start.architecture.vocabulary_size,
        "precision": plan.settings.precision,
        "devices": f"{len(devices)} {devices.devices[0].platform}",
        "stages": [stage.row for stage in planned.stages],
    }


def _measured(report: dict[str, Any], planned: Planned, announce: Announce, seconds: float) -> dict[str, Any]:
    """The report, which is announced first, with times."""
    announce(report)
    started = time.monotonic()
    rows, measured = planned.timed_rows(seconds)
    return {
        **report,
        "stages": rows,
        "seconds": round(sum(row["seconds"] for row in rows), 3),
        "programs": len(planned.programs),
        "measured": measured,
        "measured_in": round(time.monotonic() - started, 3),
    }
