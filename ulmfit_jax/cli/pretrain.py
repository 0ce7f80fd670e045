"""`ulmfit pretrain`: a language model from scratch."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ulmfit_jax.cli.arguments import (
    add_device_options,
    add_precision,
    add_reading_options,
    add_seed,
    add_skipping,
    add_workers,
    number_from_zero,
    positive_number,
    reading_options,
    whole_number,
)
from ulmfit_jax.cli.console import show, show_json
from ulmfit_jax.cli.processes import add_process_options, join_processes
from ulmfit_jax.cli.results import as_text, measures
from ulmfit_jax.cli.training_run import TrainingRun
from ulmfit_jax.nn.architecture import PRESETS

if TYPE_CHECKING:
    from ulmfit_jax.data import TextStream
    from ulmfit_jax.language_model import LanguageModel

SUMMARY = "train a language model from scratch"

DESCRIPTION = """\
Train a tokeniser and a language model on general text, for `ulmfit train --pretrained DIR` to start from. The text is
read as a stream and may be larger than memory; the last 5 % of the documents are held out to measure each epoch.

DATA is a text file (.txt, also .gz or .xz), a folder of them, a pattern such as 'wiki/part-*.txt.xz', a table, or
tfds:NAME[/CONFIG]:SPLIT.

Everything is kept in the folder --out. If the command is interrupted, give it again: it goes on from the last saved
state. Once it is finished, giving it again prints the results.
"""

EXAMPLES = """\
examples:
  ulmfit pretrain 'wiki/*.txt.xz' --out wiki-model
  ulmfit pretrain news.txt --documents lines --out news-model --preset tiny --epochs 2
  ulmfit pretrain corpus/ --out backwards-model --backwards
"""

_DECISIVE = ("preset", "backwards", "epochs", "batch_size", "learning_rate", "drop_mult", "precision", "seed")
"""Options that decide what is learnt, under their names in `LanguageModel`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ulmfit pretrain`."""
    parser.add_argument("data", metavar="DATA", help="texts")
    parser.add_argument("--out", metavar="DIR", required=True, help="folder of the run, made if it does not exist")
    parser.add_argument(
        "--documents",
        choices=("blocks", "lines", "files"),
        default="blocks",
        help="what a document is in a text file: what blank lines separate, a line, or the file (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print the results as one line of JSON")
    group = parser.add_argument_group("training")
    group.add_argument("--preset", choices=PRESETS, default="small", help="size of the model (default: %(default)s)")
    group.add_argument(
        "--tokenizer",
        choices=("sentencepiece", "words", "spacy"),
        default="sentencepiece",
        help="pieces of words, whole words, or whole words as fastai and spaCy cut them (default: %(default)s)",
    )
    group.add_argument(
        "--language", default="en", metavar="L", help="language for --tokenizer spacy (default: %(default)s)"
    )
    group.add_argument("--backwards", action="store_true", help="learn to read from the end to the beginning")
    group.add_argument(
        "--epochs", type=whole_number(1), metavar="N", help="passes over the text (default: by the amount of text)"
    )
    group.add_argument(
        "--batch-size", type=whole_number(1), metavar="N", help="rows of the stream (default: 64, less for little text)"
    )
    group.add_argument(
        "--learning-rate", type=positive_number, metavar="R", help="peak of the one-cycle schedule (default: 0.005)"
    )
    group.add_argument(
        "--drop-mult",
        type=number_from_zero,
        metavar="F",
        help="scales the dropouts of the AWD-LSTM (default: 0.1 for one epoch, 0.5 for more)",
    )
    add_precision(group)
    add_seed(group, "everything that is drawn at random")
    add_skipping(group)
    add_device_options(group)
    add_workers(group)
    add_process_options(parser)
    add_reading_options(parser, labels=False)


def run(options: argparse.Namespace) -> None:
    """Train or go on, print the results."""
    from ulmfit_jax.data import TextStream, texts_fingerprint
    from ulmfit_jax.language_model import LanguageModel

    join_processes(options)
    decisive = {name: getattr(options, name) for name in _DECISIVE}
    model = LanguageModel(
        None,
        tokenizer=_tokenizer(options),
        skip_nonfinite=options.skip_nonfinite,
        devices=options.devices,
        verbose=True,
        **decisive,
    )
    texts = TextStream(options.data, documents=options.documents, **reading_options(options))
    configuration = {
        **decisive,
        "tokenizer": _tokenizer(options),
        # The whole text is read once for this: a broken file is found now, not in the middle of the work.
        "data_sha256": texts_fingerprint(texts),
    }
    training = TrainingRun(options.out, "pretrain", configuration)
    report = training.finished_report()
    if report is None:
        with training.training(options):
            report = _train(model, options, texts, training)
        training.write_report(report)
    if options.json:
        show_json(report)
    else:
        show(as_text(report))


def _tokenizer(options: argparse.Namespace) -> str:
    """The tokeniser under its name in `LanguageModel`."""
    return f"spacy:{options.language}" if options.tokenizer == "spacy" else options.tokenizer


def _train(
    model: LanguageModel, options: argparse.Namespace, texts: TextStream, training: TrainingRun
) -> dict[str, Any]:
    """Train the model, or go on with it, and save it; returns the report."""
    from ulmfit_jax.training.processes import wait_for_all

    model.fit(texts, run_dir=training.folder / "language_model", workers=options.workers)
    model.save(training.model)
    wait_for_all("the saved model")
    return {
        "model": str(training.model),
        "vocabulary": model.architecture.vocabulary_size,
        "parameters": model.architecture.parameter_count(),
        "seed": options.seed,
        **measures(model.history),
    }
