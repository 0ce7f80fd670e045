"""`ulmfit learn`: a trained classifier learns on, from labelled texts or from what a better model says of texts."""

from __future__ import annotations

import argparse
import hashlib
import json
from typing import TYPE_CHECKING, Any

from ulmfit_jax.cli.arguments import (
    add_model,
    add_reading_options,
    as_the_model,
    labelled_reading_options,
    number_from_zero,
    positive_number,
    reading_options,
    whole_number,
)
from ulmfit_jax.cli.console import note, show, show_json
from ulmfit_jax.cli.kept_columns import READING, kept_columns, reading_provenance
from ulmfit_jax.cli.plan import announcing, begin_plan, show_plan
from ulmfit_jax.cli.results import TRAINED_ON, known_data, measures
from ulmfit_jax.cli.training_arguments import (
    add_adversarial,
    add_batches_and_validation,
    add_computation,
    add_run_options,
    add_skipping,
)
from ulmfit_jax.cli.training_run import TrainingRun, model_fingerprint
from ulmfit_jax.counted import counted
from ulmfit_jax.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

    from ulmfit_jax.data import TextDataset
    from ulmfit_jax.ensemble import Ensemble
    from ulmfit_jax.text_classifier import TextClassifier

SUMMARY = "let a trained classifier learn on from more texts"

DESCRIPTION = """\
Train all layers of a classifier further, on labelled texts that it has not seen, with labels that it knows. What they
do not show it is forgotten in part: put some of the texts from before into DATA too.

With --teacher, the labels of DATA are not looked at: a better model, such as an ensemble with this classifier in it,
says how probable each class is, and the classifier learns that (distillation). So the knowledge of several models, and
what texts without labels have to say, comes into one.

A tenth of DATA is held out to measure before and after (of texts that it has learnt before, "before" flatters); with a
teacher, how often both give the same label. Of an ensemble (two directions, --ngrams), one member can learn on:
DIR/model/member-0. The model that was there stays as it is.

If the command is interrupted, give it again: it goes on from the last saved state. Once it is finished, giving it again
prints the results. Test with `ulmfit evaluate`.
"""

EXAMPLES = """\
examples:
  ulmfit learn run more.csv --out run-2
  ulmfit learn both/forward texts.txt --teacher both --out one
  ulmfit evaluate one test.csv
"""

_DECISIVE = ("drop_mult", "adversarial", "batch_size", "validation_fraction", "precision", "seed")
"""Options that decide what is learnt, under their names in `TextClassifier`."""

_FURTHER = ("epochs", "learning_rate", "lr_mult")
"""The same in `TextClassifier.learn_from`."""

_NAMES = {"classifier_sha256": "classifier", "teacher_sha256": "--teacher", "data_sha256": "DATA"}
"""What a person calls the entries of a configuration that are no options."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ulmfit learn`."""
    add_model(parser)
    parser.add_argument("data", metavar="DATA", help="texts to learn from, labelled unless there is a --teacher")
    add_run_options(parser)
    parser.add_argument(
        "--teacher",
        metavar="DIR|NAME",
        help="model, finished run or shipped model with the same labels, whose probabilities are learnt instead of "
        "those of DATA",
    )
    group = parser.add_argument_group("training")
    group.add_argument(
        "--epochs", type=whole_number(1), metavar="N", help="passes over the texts (default: by their number, 1 to 8)"
    )
    group.add_argument(
        "--learning-rate",
        type=positive_number,
        metavar="R",
        help="peak of the head's rate (default: 0.003)",
    )
    group.add_argument(
        "--lr-mult",
        type=positive_number,
        metavar="M",
        help="the head's rate is M times the embedding's (default: 5)",
    )
    group.add_argument(
        "--drop-mult",
        type=number_from_zero,
        default=0.5,
        metavar="F",
        help="scales the classifier's dropouts (default: %(default)s)",
    )
    add_adversarial(group)
    add_batches_and_validation(group)
    add_skipping(group)
    add_computation(group)
    add_reading_options(parser, labels=True, of_model=True)


def run(options: argparse.Namespace) -> None:
    """Learn or go on, print the results."""
    from ulmfit_jax.text_classifier import TextClassifier

    model = TextClassifier.load(options.model, devices=options.devices)
    chosen = {name: getattr(options, name) for name in _DECISIVE}
    model.set_params(**chosen, skip_nonfinite=options.skip_nonfinite, verbose=True)
    _check_options(options, model)
    teacher = None if options.teacher is None else _teacher(options, model)
    data = _read(options, model)
    if options.dry_run:
        _show_plan(options, model, data)
        return
    _remark_on_one_label(data)
    training = TrainingRun(options.out, "learn", _configuration(options, data))
    training.refuse_others(_NAMES)
    report = training.finished_report()
    if report is None:
        with training.training(options):
            report = _learn(model, teacher, options, data, training)
        training.write_report(report)
    if options.json:
        show_json(report)
    else:
        show(_as_text(report))


def _check_options(options: argparse.Namespace, model: TextClassifier) -> None:
    """Refuse now what would otherwise be refused after a teacher has read all texts."""
    from ulmfit_jax.classifier_plan import Further, check_batches

    Further(**_further(options))
    check_batches(model.options)


def _read(options: argparse.Namespace, model: TextClassifier) -> TextDataset:
    """The texts, whose labels the classifier knows, or with a teacher without labels."""
    from ulmfit_jax.answers import check_kind
    from ulmfit_jax.data import TextDataset, check_labels, read_dataset

    chosen = as_the_model(options)
    if options.teacher is None:
        data = read_dataset(options.data, **labelled_reading_options(chosen))
        check_kind(data, model.multi_label)
        check_labels(data, model.class_names)
        return data
    texts = read_dataset(options.data, **reading_options(chosen), require_labels=False).texts
    return TextDataset(texts, None, options.data)


def _remark_on_one_label(data: TextDataset) -> None:
    """Say so where nothing but one label is there to learn."""
    if data.labels is not None and len(found := set(data.labels)) == 1:
        note(
            f"all texts have the label {found.pop()!r}: the classifier may come to give no other one; put texts with "
            "other labels into DATA too"
        )


def _teacher(options: argparse.Namespace, model: TextClassifier) -> TextClassifier | Ensemble:
    """What `--teacher` names, with the classes of `model`."""
    from ulmfit_jax.ensemble import load_classifier

    teacher = load_classifier(options.teacher, devices=options.devices, precision=options.precision)
    if model.multi_label or teacher.multi_label:
        raise ConfigError("--teacher gives a text one label, but here a text may have several: leave it out")
    if model.class_names != teacher.class_names:
        raise ConfigError(
            f"--teacher has the classes {', '.join(teacher.class_names)}, but the classifier "
            f"{', '.join(model.class_names)}: they need the same ones"
        )
    return teacher


def _configuration(options: argparse.Namespace, data: TextDataset) -> dict[str, Any]:
    """What decides the result; a report of another configuration is not this run's."""
    return {
        **{name: getattr(options, name) for name in (*_DECISIVE, *_FURTHER)},
        "classifier_sha256": model_fingerprint(options.model),
        "teacher_sha256": None if options.teacher is None else model_fingerprint(options.teacher),
        "data_sha256": data.fingerprint(),
    }


def _learn(
    model: TextClassifier,
    teacher: TextClassifier | Ensemble | None,
    options: argparse.Namespace,
    data: TextDataset,
    training: TrainingRun,
) -> dict[str, Any]:
    """Let the classifier learn, or go on with it, and save it; returns the report."""
    from ulmfit_jax.data import TextDataset
    from ulmfit_jax.data.split import split_rows

    learnt = [*known_data(model.artifact.provenance), data.fingerprint()]
    labels: Any = data.targets
    if teacher is not None:
        labels = _answers(teacher, options, data, training)
        data = TextDataset(data.texts, [model.class_names[k] for k in labels.argmax(axis=1)], data.source)
    held_out = data.select(split_rows(data, options.validation_fraction, options.seed)[1])
    report = _measured(model.evaluate(held_out.texts, held_out.targets or ())) if len(held_out) else {}
    before = {"before": report} if report else {}
    model.learn_from(data.texts, labels, **_further(options), run_dir=training.folder, workers=options.workers)
    reading = {**kept_columns(options.model), **reading_provenance(options).get(READING, {})}
    provenance = {"learnt_on_from": options.model, TRAINED_ON: learnt}
    provenance |= {"teacher": options.teacher} if teacher is not None else {}
    model.save(training.model, provenance={**provenance, **({READING: reading} if reading else {})})
    labelled = len(data) if teacher is None else 0
    return {
        "model": str(training.model),
        "classes": list(model.class_names),
        "documents": {"labelled": labelled, "validation": len(held_out), "unlabelled": len(data) - labelled},
        "teacher": options.teacher,
        "seed": options.seed,
        **before,
        **measures(model.history_),
    }


def _measured(figures: dict[str, Any]) -> dict[str, Any]:
    """Of a classifier's figures those that an epoch has too."""
    return {name: figures[name] for name in ("accuracy", "error", "loss")}


def _as_text(report: dict[str, Any]) -> str:
    """A report as a few lines for a person."""
    documents, teacher = report["documents"], report["teacher"]
    on_what = f"same label as {teacher}" if teacher else "right"
    lines = [
        f"{name:<16}{report[key]['accuracy']:7.2%} {on_what}, of {counted(documents['validation'], 'text')} held out"
        for name, key in (("before", "before"), ("after", "validation"))
        if key in report
    ]
    learnt = documents["labelled"] + documents["unlabelled"] - documents["validation"]
    of_what = f", of which {teacher} gave the probabilities" if teacher else ""
    lines.append(f"learnt from     {counted(learnt, 'text')}{of_what}")
    times = ", ".join(f"{name} {seconds:,.0f} s" for name, seconds in report["seconds"].items())
    return "\n".join([*lines, f"time            {times}", f"model           {report['model']}"])


def _further(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `TextClassifier.learn_from` that were given."""
    return {name: value for name in _FURTHER if (value := getattr(options, name)) is not None}


def _answers(
    teacher: TextClassifier | Ensemble, options: argparse.Namespace, data: TextDataset, training: TrainingRun
) -> np.ndarray:
    """The teacher's probabilities `[texts, classes]`; a start that goes on finds them in the folder of the run."""
    import numpy as np

    from ulmfit_jax.training.run_configuration import write_atomically

    made_from = f"{model_fingerprint(options.teacher)} {options.precision} {data.fingerprint()}"
    place = training.folder / f"teacher-{hashlib.sha256(made_from.encode()).hexdigest()[:16]}.json"
    if not place.exists():
        note(f"{options.teacher} reads {counted(len(data), 'text')} …")
        write_atomically(place, json.dumps(teacher.predict_proba(data.texts).tolist()))
    return np.array(json.loads(place.read_text("utf-8")))


def _show_plan(options: argparse.Namespace, model: TextClassifier, data: TextDataset) -> None:
    """What the same command without `--dry-run` would do."""
    from ulmfit_jax.dry_run import MEASURING_SECONDS, further_dry_run

    begin_plan(options.out, "learn")
    announce = announcing(options.json, MEASURING_SECONDS)
    plan = further_dry_run(model, data, options.workers, **_further(options), run_dir=options.out, announce=announce)
    show_plan(plan, options.json)
