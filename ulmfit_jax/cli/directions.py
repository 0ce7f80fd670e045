"""`ulmfit train --both-directions`: a forward and a backward classifier, and both together as one model."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ulmfit_jax.cli.console import note
from ulmfit_jax.cli.ngrams import chosen_ngrams, learn_ngrams
from ulmfit_jax.cli.report_page import leave_directions_page
from ulmfit_jax.cli.results import trained_on, without_test
from ulmfit_jax.cli.training_run import TrainingRun, model_fingerprint
from ulmfit_jax.counted import also_learnt
from ulmfit_jax.errors import ConfigError

if TYPE_CHECKING:
    from ulmfit_jax.cli.train_texts import TrainTexts
    from ulmfit_jax.data import TextDataset

COMMAND = "train --both-directions"
DIRECTIONS = ("forward", "backward")


def direction_models(options: argparse.Namespace) -> dict[str, str]:
    """The language model of each direction, by `forward` and `backward`.

    Raises:
        ConfigError, ArtifactError: there is no such model, or it reads the other way.
    """
    from ulmfit_jax.artifact.folder import read_config
    from ulmfit_jax.pretrained import SHIPPED, SHIPPED_PAIR, model_folder, shipped_models

    forward, backward = options.pretrained, options.pretrained_backward
    if backward is None:
        if SHIPPED_PAIR[1] not in shipped_models():
            raise ConfigError(
                "--both-directions needs a language model that reads backwards, and none is shipped in this "
                "installation: make one with ulmfit pretrain --backwards, and give its folder as --pretrained-backward"
            )
        backward = SHIPPED_PAIR[1]
        if forward == SHIPPED and SHIPPED_PAIR[0] in shipped_models():
            forward = SHIPPED_PAIR[0]
    if "none" in (forward, backward):
        raise ConfigError(
            "--both-directions starts from two language models: make them with ulmfit pretrain, one of them with "
            "--backwards, and give their folders as --pretrained and --pretrained-backward"
        )
    for name, model, backwards in (("", forward, False), ("-backward", backward, True)):
        if bool(read_config(model_folder(model)).get("backwards")) != backwards:
            raise ConfigError(
                f"--pretrained{name} {model} reads {'forwards' if backwards else 'backwards'}: give a language model "
                f"that was trained {'with' if backwards else 'without'} --backwards"
            )
    return dict(zip(DIRECTIONS, (forward, backward), strict=True))


def direction_runs(options: argparse.Namespace) -> Iterator[argparse.Namespace]:
    """The options of each run, in the folders `forward` and `backward` of `--out`."""
    for name, model in direction_models(options).items():
        chosen: dict[str, Any] = {"pretrained": model, "pretrained_backward": None, "both_directions": False}
        chosen |= {"ngrams": False, "co_training": 0}
        yield argparse.Namespace(**{**vars(options), **chosen, "out": str(Path(options.out) / name)})


def both_directions(
    options: argparse.Namespace, texts: TrainTexts, one_run: Callable[[argparse.Namespace], dict[str, Any]]
) -> dict[str, Any]:
    """Train both with `one_run`, join them in `DIR/model`, measure; returns the report, which `--out` keeps."""
    from ulmfit_jax.ensemble import Ensemble
    from ulmfit_jax.text_classifier import TextClassifier
    from ulmfit_jax.training.compiled_programs import kept_programs
    from ulmfit_jax.training.processes import wait_for_all

    runs = list(direction_runs(options))
    together = TrainingRun(options.out, COMMAND, {})
    with together.training(options), kept_programs(together.folder):
        reports = []
        for run in runs:
            note(f"reading {Path(run.out).name}")
            reports.append(one_run(run))
    members: dict[str, Any] = {"members": [model_fingerprint(report["model"]) for report in reports]}
    together = TrainingRun(options.out, COMMAND, {**members, **chosen_ngrams(options)})
    report = together.finished_report()
    with kept_programs(together.folder):
        if report is None:
            model = Ensemble([TextClassifier.load(report["model"], devices=options.devices) for report in reports])
            of_ngrams, seconds = (
                learn_ngrams(model, options, texts.data, texts.unlabeled) if options.ngrams else ({}, {})
            )
            model.save(together.model)
            wait_for_all("the saved ensemble")
            report = {**_joined(reports), **of_ngrams, "model": str(together.model)}
            report["seconds"] |= seconds
            together.write_report(report)  # what follows can be done again without learning
        if not _is_measured(report, options, texts.data, texts.test):
            model = Ensemble.load(together.model, devices=options.devices)
            stale, seconds = {"validation", "test", "baseline"}, report["seconds"]
            report = {name: value for name, value in report.items() if name not in stale} | _joined(reports)
            report |= {**measured(model, options, texts.data, texts.test), "seconds": seconds | report["seconds"]}
            together.write_report(report)
    if not together.page.exists():
        leave_directions_page(options, together, report)
    if texts.test is None:
        report = without_test({**report, "runs": [without_test(run) for run in report["runs"]]})
    return {**report, "page": str(together.page)} if together.page.exists() else report


def _is_measured(
    report: dict[str, Any], options: argparse.Namespace, data: TextDataset, test: TextDataset | None
) -> bool:
    """Whether a report has all figures that `measured` gives; those of other test texts are none."""
    from ulmfit_jax.data.split import split_rows

    holds_out = len(split_rows(data, options.validation_fraction, options.seed)[1]) > 0
    is_tested = test is None or report.get("test", {}).get("sha256") == test.fingerprint()
    return holds_out == ("validation" in report) and is_tested


def _joined(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """What the two reports say together; each stands in `runs`."""
    seconds = {
        f"{direction} {stage}": value
        for direction, report in zip(DIRECTIONS, reports, strict=True)
        for stage, value in report["seconds"].items()
    }
    names = ("classes", "documents", "transductive", "seed", "baseline")
    shared: dict[str, Any] = {name: reports[0][name] for name in names if name in reports[0]}
    return {**shared, "directions": list(DIRECTIONS), "runs": reports, "seconds": seconds}


def measured(model: Any, options: argparse.Namespace, data: TextDataset, test: TextDataset | None) -> dict[str, Any]:
    """The figures of an ensemble on the texts that no member was trained on and on the test texts."""
    from ulmfit_jax.data.split import split_rows

    report: dict[str, Any] = {}
    _, held_out = split_rows(data, options.validation_fraction, options.seed)
    if len(held_out):
        valid = data.select(held_out)
        report["validation"] = model.evaluate(valid.texts, valid.targets or ())
    if test is not None:
        report["test"] = model.evaluate(test.texts, test.targets or ())
        report["test"] |= {"also_in_training": test.shared_with(data.without_valid), "sha256": test.fingerprint()}
    return report


def directions_as_text(report: dict[str, Any]) -> str:
    """The report as a table for a person."""
    columns = [name for name in ("validation", "test") if name in report]
    lines = [f"{'error':<20}" + "".join(f"{name:>12}" for name in columns)]
    lines.append(f"{'texts':<20}" + "".join(f"{report[name]['n']:>12,}" for name in columns))
    together = "together, n-grams" if "ngrams" in report else "together"
    for name, run in (*zip(DIRECTIONS, report["runs"], strict=True), (together, report)):
        lines.append(f"{name:<20}" + "".join(f"{run[column]['error']:>12.2%}" for column in columns))
    baseline = report.get("baseline", {})
    if "test" in report and baseline.get("error") is not None:
        lines.append(f"{'baseline':<20}{baseline['error']:>{12 * len(columns)}.2%}   {baseline['name']}")
    if seen := report.get("test", {}).get("also_in_training"):
        lines.append(also_learnt(seen))
    if "documents" in report:
        lines.append(f"trained on {trained_on(report)}")
    lines.append(f"model of both: {report['model']}")
    return "\n".join([*lines, f"report: {report['page']}"] if "page" in report else lines)
