"""`ulmfit train`: from labelled texts to a classifier, tested and compared with a baseline."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ulmfit_jax.cli.arguments import labelled_reading_options, reading_options
from ulmfit_jax.cli.console import note, show, show_json
from ulmfit_jax.cli.directions import (
    COMMAND,
    DIRECTIONS,
    both_directions,
    direction_models,
    direction_runs,
    directions_as_text,
    measured,
)
from ulmfit_jax.cli.found_rates import found_rates
from ulmfit_jax.cli.kept_columns import reading_provenance
from ulmfit_jax.cli.labelled_texts import remark_on_few_texts, remark_on_measuring_texts, remark_on_separator
from ulmfit_jax.cli.ngrams import check_co_training, chosen_ngrams, learn_ngrams
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
from ulmfit_jax.cli.training_run import TrainingRun, model_fingerprint
from ulmfit_jax.errors import ConfigError

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
    from ulmfit_jax.answers import check_kind
    from ulmfit_jax.classifier_plan import check_plan
    from ulmfit_jax.data import check_labels
    from ulmfit_jax.self_training import drawn_rounds

    data = _read(options, options.data)
    remark_on_separator(data)
    classes = check_labels(data)
    check_co_training(options, data.label_sets is not None)
    test = _read(options, options.test) if options.test is not None else None
    if test is not None:
        check_kind(test, data.label_sets is not None)
        check_labels(test, classes)
    valid = _read(options, options.valid) if options.valid is not None else None
    if valid is not None:
        remark_on_measuring_texts(valid, data, test)
        data = data.with_valid(valid)
    unlabeled = _unlabeled(options, valid, test)
    why = _not_fine_tuned(options)
    if unlabeled and why and not (options.self_training or options.co_training):
        note(f"{why}, only --self-training and --co-training read texts without labels: they are left out")
        unlabeled = []
    if options.co_training:
        if not unlabeled:
            raise ConfigError(
                "--co-training needs texts without labels besides those of --valid and --test: give others"
            )
        drawn_rounds(unlabeled, [options.co_training], options.seed, data.texts)  # refused now or never
    check_plan(_model(options).options, data)
    remark_on_few_texts(data.without_valid)
    if options.dry_run:
        _show_plan(options, data, test, unlabeled)
        return
    if options.both_directions:
        report = both_directions(options, data, test, unlabeled, lambda run: _one_run(run, data, test, unlabeled))
        text = directions_as_text(report)
    elif options.seeds == 1:
        report = _one_run(options, data, test, unlabeled)
        text = as_text(report)
    else:
        report = _several_runs(options, data, test, unlabeled)
        text = seeds_as_text(report)
    if options.json:
        show_json(report)
    else:
        show(text)


def _one_run(
    options: argparse.Namespace, data: TextDataset, test: TextDataset | None, unlabeled: list[str]
) -> dict[str, Any]:
    """Train or go on in the folder `--out`, test once, leave a page; returns the report and where the page is."""
    from ulmfit_jax.training.compiled_programs import kept_programs

    training = TrainingRun(options.out, "train", _configuration(options, data, unlabeled))
    has_page, answered = training.page.exists(), None
    report = training.finished_report()
    if report is None:
        with training.training(options):
            report = _train(options, data, unlabeled, training)
        training.write_report(report)
        has_page = False
    if test is not None and report.get("test", {}).get("sha256") != test.fingerprint():
        report, answered = _tested(options, data, test, training, report)
        training.write_report(report)
        has_page = False
    if options.lr_find and "learning_rates" not in report:
        with kept_programs(training.folder):
            report = {**report, "learning_rates": found_rates(options, _model(options), data, training)}
        training.write_report(report)
        has_page = False
    if test is None:
        report = without_test(report)
    if not has_page:
        leave_page(options, training, report, data, test, answered)
    return {**report, "page": str(training.page)} if training.page.exists() else report


def _several_runs(
    options: argparse.Namespace, data: TextDataset, test: TextDataset | None, unlabeled: list[str]
) -> dict[str, Any]:
    """A run for each seed in a folder of its own; returns the report over all of them, which `--out` keeps."""
    from ulmfit_jax.training.compiled_programs import kept_programs

    together = TrainingRun(options.out, "train --seeds", {})
    reports = []
    with together.training(options), kept_programs(together.folder):
        for run in seed_runs(options):
            note(f"seed {run.seed}")
            reports.append(_one_run(run, data, test, unlabeled))
    report = over_seeds(reports)
    together.write_report(report)
    leave_seeds_page(options, together, report)
    return report


def _read(options: argparse.Namespace, location: str) -> TextDataset:
    from ulmfit_jax.data import read_dataset

    return read_dataset(location, **labelled_reading_options(options))


def _unlabeled(options: argparse.Namespace, valid: TextDataset | None, test: TextDataset | None) -> list[str]:
    """Texts without labels: without those of `--valid` and without the test texts, or, if that was asked for, with all
    of the latter."""
    from ulmfit_jax.data import read_dataset

    reading = {**reading_options(options), "require_labels": False}
    texts = [text for location in options.unlabeled for text in read_dataset(location, **reading).texts]
    for kind, apart in (("validation", valid), ("test", test)):
        if apart is None:
            continue
        known = set(apart.texts)
        kept = [text for text in texts if text not in known]
        count, texts = len(texts) - len(kept), kept
        if kind == "test" and options.transductive:
            measuring = set(() if valid is None else valid.texts)
            texts = [*kept, *(text for text in apart.texts if text not in measuring)]
        elif count:
            are = f"is a {kind} text and is" if count == 1 else f"are {kind} texts and are"
            note(f"{count:,} of the unlabelled texts {are} left out")
    return texts


def _not_fine_tuned(options: argparse.Namespace) -> str | None:
    """Why no language model learns from the texts; None where one does."""
    from ulmfit_jax.artifact.folder import read_config
    from ulmfit_jax.pretrained import model_folder

    if options.lm_epochs == 0:
        return "with --lm-epochs 0"
    starts = direction_models(options).values() if options.both_directions else [options.pretrained]
    kinds = [read_config(model_folder(name)).get("kind") for name in starts if name != "none"]
    return "from an encoder alone" if kinds and set(kinds) == {"encoder"} else None


def _configuration(options: argparse.Namespace, data: TextDataset, unlabeled: list[str]) -> dict[str, Any]:
    """What decides the result; a report of another configuration is not this run's."""
    from ulmfit_jax.data import texts_fingerprint

    return {
        **{name: getattr(options, name) for name in _DECISIVE},
        **chosen_class_weight(options),
        **chosen_stopping(options),
        **chosen_ngrams(options),
        "pretrained": options.pretrained,
        "pretrained_sha256": model_fingerprint(options.pretrained),
        "data_sha256": data.fingerprint(),
        "unlabeled_sha256": texts_fingerprint(unlabeled),
    }


def _train(
    options: argparse.Namespace, data: TextDataset, unlabeled: list[str], training: TrainingRun
) -> dict[str, Any]:
    """Train the classifier, or go on with it, and save it; returns the report."""
    from ulmfit_jax.ensemble import Ensemble
    from ulmfit_jax.training.processes import wait_for_all

    model = _model(options)
    # From scratch they make the tokeniser in any case; else, with no language model to learn, n-grams at most read
    # them.
    is_read = options.pretrained == "none" or options.self_training or _not_fine_tuned(options) is None
    more = unlabeled if is_read else []
    learnt, valid = data.without_valid, data.valid
    model.fit(
        learnt.texts,
        learnt.targets or (),
        more,
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


def _show_plan(options: argparse.Namespace, data: TextDataset, test: TextDataset | None, unlabeled: list[str]) -> None:
    """What the same command without `--dry-run` would do."""
    from ulmfit_jax.dry_run import MEASURING_SECONDS, dry_run

    tested = () if test is None else test.texts
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
            data,
            unlabeled,
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
