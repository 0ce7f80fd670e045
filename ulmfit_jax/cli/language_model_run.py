"""What `pretrain` and `finetune-lm` have in common: a language model, texts and a run folder in, a report out."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ulmfit_jax.cli.arguments import reading_options
from ulmfit_jax.cli.console import show, show_json
from ulmfit_jax.cli.kept_columns import reading_provenance
from ulmfit_jax.cli.plan import announcing, begin_plan, show_plan
from ulmfit_jax.cli.results import as_text, measures
from ulmfit_jax.cli.training_run import TrainingRun

if TYPE_CHECKING:
    from ulmfit_jax.data import TextStream
    from ulmfit_jax.language_model import LanguageModel


def run_language_model(
    command: str, options: argparse.Namespace, model: LanguageModel, decisive: dict[str, Any]
) -> None:
    """Train the model on the texts of `options.data`, or go on, or find it trained; print the report.

    With `--dry-run`, print the plan instead.

    Args:
        command: one of `training_run.COMMANDS`.
        options: of the command.
        model: with everything chosen, not trained yet.
        decisive: what decides the result, besides the texts.
    """
    from ulmfit_jax.data import TextStream, texts_fingerprint

    texts = TextStream(options.data, documents=options.documents, **reading_options(options))
    if options.dry_run:
        from ulmfit_jax.dry_run import MEASURING_SECONDS, language_model_dry_run

        begin_plan(options.out, command)
        announce = announcing(options.json, MEASURING_SECONDS)
        plan = language_model_dry_run(model, texts, options.workers, run_dir=options.out, announce=announce)
        show_plan(plan, options.json)
        return
    # The whole text is read once for the fingerprint: a broken file is found now, not in the middle of the work.
    training = TrainingRun(options.out, command, {**decisive, "data_sha256": texts_fingerprint(texts)})
    report = training.finished_report()
    if report is None:
        with training.training(options):
            report = _train(model, options, texts, training)
        training.write_report(report)
    if options.json:
        show_json(report)
    else:
        show(as_text(report))


def _train(
    model: LanguageModel, options: argparse.Namespace, texts: TextStream, training: TrainingRun
) -> dict[str, Any]:
    """Train the model, or go on with it, and save it; returns the report."""
    from ulmfit_jax.training.processes import wait_for_all

    model.fit(texts, run_dir=training.folder / "language_model", workers=options.workers)
    model.save(training.model, provenance=reading_provenance(options))
    wait_for_all("the saved model")
    return {
        "model": str(training.model),
        "vocabulary": model.architecture.vocabulary_size,
        "parameters": model.architecture.parameter_count(),
        "seed": options.seed,
        **measures(model.history),
    }
