"""`report.html` of a run: gathers the facts, measures what was not measured yet, writes the file in one step."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import jax

from ulmfit_jax.data.corpus import cached_corpus
from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.split import split_rows
from ulmfit_jax.ensemble import Ensemble, load_classifier
from ulmfit_jax.report.facts import Answered, RunFacts, device_name, software_versions
from ulmfit_jax.report.label_facts import AnsweredLabels
from ulmfit_jax.report.label_results import surest_label_mistakes
from ulmfit_jax.report.measuring import measure
from ulmfit_jax.report.mistakes import most_confident
from ulmfit_jax.report.page import run_page
from ulmfit_jax.report.stages import read_trainings
from ulmfit_jax.training.processes import is_first
from ulmfit_jax.training.run_configuration import write_atomically


def write_run_report(
    file: Path,
    command: str,
    report: dict[str, Any],
    data: TextDataset,
    test: TextDataset | None,
    answered: Answered | None,
    *,
    validation_fraction: float,
    seed: int,
    devices: int | None = None,
) -> None:
    """Write the page of a finished run into its folder.

    In a run of several processes all of them call this and the first one writes; its page has no words in colour, as
    they are explained on one device.

    Args:
        file: the page, in the run folder.
        command: the exact command.
        report: the contents of `report.json`.
        data: the labelled texts.
        test: texts to measure on; None measures on the validation part of `data`.
        answered: answers on `test` where there are some already.
        validation_fraction: share of `data` that measured each epoch where no texts were set apart for that.
        seed: of the split.
        devices: how many to use; all by default.

    Raises:
        UlmfitError, OSError: something in the run folder cannot be read, or the page cannot be written.
    """
    folder = file.parent
    model = load_classifier(report["model"], devices=devices)
    network = model.members[0] if isinstance(model, Ensemble) else model  # n-grams may answer beside it
    rows, held_out = split_rows(data, validation_fraction, seed)
    if answered is None and test is not None:
        answered = measure(model, "test", data.without_valid, test)
    elif answered is None and len(held_out):
        valid, numbers = data.valid, None
        if valid is None:
            valid, numbers = data.select(held_out), (held_out + 1).tolist()
        answered = measure(model, "validation", data.select(rows), valid, numbers)
    if not is_first():
        return
    now = datetime.datetime.now().astimezone()
    facts = RunFacts(
        command=command,
        report=report,
        artifact=network.artifact,
        trainings=read_trainings(folder),
        data=data,
        tokens=cached_corpus(data.texts, network.artifact.tokenizer, folder / "tokens"),
        answered=answered,
        held_out=len(held_out),
        device=device_name(devices),
        versions=software_versions(),
        date=f"{now.day} {now:%B %Y, %H:%M}",
    )
    explain = network.explain if jax.process_count() == 1 else None
    if isinstance(answered, AnsweredLabels):
        mistakes = surest_label_mistakes(answered, explain)
    else:
        mistakes = most_confident(answered, explain) if answered else []
    write_atomically(file, run_page(facts, mistakes))
