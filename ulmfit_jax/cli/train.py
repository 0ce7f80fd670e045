"""`ulmfit train`: from labelled texts to a classifier, tested and compared with a baseline."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ulmfit_jax.cli.console import note, show, show_json
from ulmfit_jax.cli.directions import (
    COMMAND,
    DIRECTIONS,
    both_directions,
    direction_runs,
    directions_as_text,
    measured,
)
from ulmfit_jax.cli.found_rates import found_rates
from ulmfit_jax.cli.kept_columns import reading_provenance
from ulmfit_jax.cli.labelled_texts import remark_on_few_texts
from ulmfit_jax.cli.ngrams import chosen_ngrams, learn_ngrams
from ulmfit_jax.cli.plan import announcing, begin_plan, show_times, show_total
from ulmfit_jax.cli.processes import join_processes
from ulmfit_jax.cli.report_page import leave_page, leave_seeds_page
from ulmfit_jax.cli.results import TRAINED_ON, as_text, measures, without_test
from ulmfit_jax.cli.seeds import over_seeds, seed_runs, seeds_as_text
from ulmfit_jax.cli.train_arguments import (
    DESCRIPTION,
    EXAMPLES,
    SUMMARY,
    add_arguments,
    check_combinations,
    chosen_class_weight,
    chosen_stopping,
)
from ulmfit_jax.cli.train_texts import TrainTexts, network_reads_unlabeled, read_texts
from ulmfit_jax.cli.training_run import TrainingRun, model_fingerprint

if TYPE_CHECKING:
    from ulmfit_jax.data import TextDataset
    from ulmfit_jax.report.facts import Answered
    from ulmfit_jax.text_classifier import TextClassifier

__all__ = ["DESCRIPTION", "EXAMPLES", "SUMMARY", "add_arguments", "run"]

_DECISIVE = (
    "preset",
    "recipe",
    "lm_epochs",
    "lm_learning_rate",
    "lm_batch_size",
    "epochs",
    "learning_rate",
    "lr_mult",
    "drop_mult",
    "label_smoothing",
    "adversarial",
    "pool_layers",
    "batch_size",
    "validation_fraction",
    "self_training",
    "cache_frozen",
    "precision",
    "seed",
)
"""Options that decide what is learnt, under their names in `TextClassifier`."""


def run(options: argparse.Namespace) -> None:
    """Train or go on, test once, print the results."""
    check_combinations(options)
    join_processes(options)
    from ulmfit_jax.classifier_plan import check_plan

    texts = read_texts(options)
    check_plan(_model(options).options, texts.data)
    remark_on_few_texts(texts.data.without_valid)
    if options.dry_run:
        _show_plan(options, texts)
        return
    if options.both_directions:
        report = both_directions(options, texts, partial(_one_run, texts=texts))
        text = directions_as_text(report)
    elif options.seeds == 1:
        report = _one_run(options, texts)
        text = as_text(report)
    else:
        report = _several_runs(options, texts)
        text = seeds_as_text(report)
    if options.json:
        show_json(report)
    else:
        show(text)


def _one_run(options: argparse.Namespace, texts: TrainTexts) -> dict[str, Any]:
    """Train or go on in the folder `--out`, test once, leave a page; returns the report and where the page is."""
    from ulmfit_jax.training.compiled_programs import kept_programs

    test = texts.test
    training = TrainingRun(options.out, "train", _configuration(options, texts))
    has_page, answered = training.page.exists(), None
    report = training.finished_report()
    if report is None:
        with training.training(options):
            report = _train(options, texts, training)
        training.write_report(report)
        has_page = False
    if test is not None and report.get("test", {}).get("sha256") != test.fingerprint():
        report, answered = _tested(options, texts.data, test, training, report)
        training.write_report(report)
        has_page = False
    if options.lr_find and "learning_rates" not in report:
        with kept_programs(training.folder):
            report = {**report, "learning_rates": found_rates(options, _model(options), texts.data, training)}
        training.write_report(report)
        has_page = False
    if test is None:
        report = without_test(report)
    if not has_page:
        leave_page(options, training, report, texts.data, test, answered)
    return {**report, "page": str(training.page)} if training.page.exists() else report


def _several_runs(options: argparse.Namespace, texts: TrainTexts) -> dict[str, Any]:
    """A run for each seed in a folder of its own; returns the report over all of them, which `--out` keeps."""
    from ulmfit_jax.training.compiled_programs import kept_programs

    together = TrainingRun(options.out, "train --seeds", {})
    reports = []
    with together.training(options), kept_programs(together.folder):
        for run in seed_runs(options):
            note(f"seed {run.seed}")
            reports.append(_one_run(run, texts))
    report = over_seeds(reports)
    together.write_report(report)
    leave_seeds_page(options, together, report)
    return report


def _configuration(options: argparse.Namespace, texts: TrainTexts) -> dict[str, Any]:
    """What decides the result; a report of another configuration is not this run's."""
    from ulmfit_jax.data import texts_fingerprint

    return {
        **{name: getattr(options, name) for name in _DECISIVE},
        **chosen_class_weight(options),
        **chosen_stopping(options),
        **chosen_ngrams(options),
        "pretrained": options.pretrained,
        "pretrained_sha256": model_fingerprint(options.pretrained),
        "data_sha256": texts.data.fingerprint(),
        "unlabeled_sha256": texts_fingerprint(texts.unlabeled),
    }


def _train(options: argparse.Namespace, texts: TrainTexts, training: TrainingRun) -> dict[str, Any]:
    """Train the classifier, or go on with it, and save it; returns the report."""
    from ulmfit_jax.ensemble import Ensemble
    from ulmfit_jax.training.processes import wait_for_all

    model, data, unlabeled = _model(options), texts.data, texts.unlabeled
    learnt, valid = data.without_valid, data.valid
    model.fit(
        learnt.texts,
        learnt.targets or (),
        unlabeled if network_reads_unlabeled(options) else [],
        valid_texts=None if valid is None else valid.texts,
        valid_labels=None if valid is None else valid.targets,
        run_dir=training.folder,
        workers=options.workers,
    )
    report = measures(model.history_, model.artifact.provenance)
    provenance = {**reading_provenance(options), TRAINED_ON: learnt.fingerprint()}
    if options.ngrams:
        joint = Ensemble([model])
        network = {"network": {"validation": report["validation"]}} if "validation" in report else {}
        of_ngrams, seconds = learn_ngrams(joint, options, data, unlabeled)
        seconds = {**report["seconds"], **seconds}
        report = {**report, **network, **of_ngrams, **measured(joint, options, data, None), "seconds": seconds}
        joint.save(training.model, provenance=provenance)
    else:
        model.save(training.model, provenance=provenance)
    wait_for_all("the saved model")
    return {
        "model": str(training.model),
        "classes": list(model.class_names),
        "documents": {
            "labelled": len(data),
            "validation": model.artifact.provenance["training"]["validation_documents"],
            "unlabelled": len(unlabeled),
        },
        "transductive": options.transductive and len(unlabeled) > 0,
        "seed": options.seed,
        **report,
    }


def _model(options: argparse.Namespace) -> TextClassifier:
    """What is to be trained."""
    from ulmfit_jax.text_classifier import TextClassifier

    return TextClassifier(
        None if options.pretrained == "none" else options.pretrained,
        **{name: getattr(options, name) for name in _DECISIVE},
        **chosen_class_weight(options),
        **chosen_stopping(options),
        skip_nonfinite=options.skip_nonfinite,
        devices=options.devices,
        verbose=True,
    )


def _show_plan(options: argparse.Namespace, texts: TrainTexts) -> None:
    """What the same command without `--dry-run` would do."""
    from ulmfit_jax.dry_run import MEASURING_SECONDS, dry_run

    tested = () if texts.test is None else texts.test.texts
    command = COMMAND if options.both_directions else "train" if options.seeds == 1 else "train --seeds"
    begin_plan(options.out, command)
    runs = list(direction_runs(options)) if options.both_directions else [options]
    limit = MEASURING_SECONDS / len(runs)
    plans: list[dict[str, Any]] = []
    for run in runs:
        if options.both_directions:
            note(f"reading {Path(run.out).name}")
        announce = announcing(run.json, limit)
        held = run.out if run.seeds == 1 else None
        plan = dry_run(
            _model(run),
            texts.data,
            texts.unlabeled,
            tested,
            run.workers,
            co_training=options.co_training,
            run_dir=held,
            announce=announce,
            seconds=limit,
        )
        plans.append({**plan, "seconds": round(plan["seconds"] * run.seeds, 3), "runs": run.seeds})
        if not run.json:
            show_times(plans[-1])
    if options.both_directions:
        show_total(dict(zip(DIRECTIONS, plans, strict=True)), options.json)
    elif options.json:
        show_json(plans[0])


def _tested(
    options: argparse.Namespace, data: TextDataset, test: TextDataset, training: TrainingRun, report: dict[str, Any]
) -> tuple[dict[str, Any], Answered]:
    """The report with the accuracy on the test texts and that of the baseline, which learns from all labelled texts;
    and the answers behind them."""
    from ulmfit_jax.ensemble import load_classifier
    from ulmfit_jax.report.measuring import measure
    from ulmfit_jax.training.compiled_programs import kept_programs

    with kept_programs(training.folder):
        model = load_classifier(training.model, devices=options.devices)
        answered = measure(model, "test", data.without_valid, test)
    figures = {
        **answered.figures,
        "also_in_training": test.shared_with(data.without_valid),
        "sha256": test.fingerprint(),
    }
    seconds = {**report["seconds"], **answered.seconds}
    return {**report, "test": figures, "baseline": answered.baseline_figures, "seconds": seconds}, answered
