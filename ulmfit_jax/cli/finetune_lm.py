"""`ulmfit finetune-lm`: a language model goes on reading, on texts alone."""

from __future__ import annotations

import argparse

from ulmfit_jax.cli.arguments import add_reading_options, whole_number
from ulmfit_jax.cli.language_model_run import run_language_model
from ulmfit_jax.cli.processes import add_process_options, join_processes
from ulmfit_jax.cli.training_arguments import (
    add_computation,
    add_documents,
    add_language_model_options,
    add_pretrained,
    add_run_options,
    add_skipping,
)
from ulmfit_jax.cli.training_run import model_fingerprint
from ulmfit_jax.errors import ConfigError

SUMMARY = "fine-tune a language model on texts without labels"

DESCRIPTION = """\
Let a language model that has read general text read yours: the second of the three steps of ULMFiT. The result serves
any number of classifiers, with `ulmfit train --pretrained DIR --lm-epochs 0`. The text is read as a stream and may be
larger than memory; the last 5 % of the documents, at most 2,000, are held out to measure each epoch.

DATA is a text file (.txt, also .gz or .xz), a folder of them, a pattern such as 'mails/part-*.txt.xz', a table, or
tfds:NAME[/CONFIG]:SPLIT; labels are not looked at.

Everything is kept in the folder --out. If the command is interrupted, give it again: it goes on from the last saved
state. Once it is finished, giving it again prints the results.
"""

EXAMPLES = """\
examples:
  ulmfit finetune-lm reviews.txt --out reviews-lm
  ulmfit finetune-lm 'letters/*.txt' --documents files --out letters-lm --pretrained wiki-model
  ulmfit train labelled.csv --pretrained reviews-lm --lm-epochs 0 --out run
"""

_DECISIVE = ("epochs", "frozen_epochs", "batch_size", "learning_rate", "drop_mult", "precision", "seed")
"""Options that decide what is learnt, under their names in `LanguageModel`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ulmfit finetune-lm`."""
    parser.add_argument("data", metavar="DATA", help="texts")
    add_run_options(parser)
    add_documents(parser, default="lines")
    group = parser.add_argument_group("training")
    add_pretrained(group, scratch=False)
    add_language_model_options(group)
    group.add_argument(
        "--frozen-epochs",
        type=whole_number(0),
        metavar="N",
        help="passes before these with embedding and decoder alone (default: 1 for a model of whole words, else 0)",
    )
    add_skipping(group)
    add_computation(group)
    add_process_options(parser)
    add_reading_options(parser, labels=False)


def run(options: argparse.Namespace) -> None:
    """Train or go on, print the results."""
    if options.pretrained == "none":
        raise ConfigError("--pretrained none would be training from scratch: that is ulmfit pretrain")
    join_processes(options)
    from ulmfit_jax.language_model import LanguageModel

    decisive = {name: getattr(options, name) for name in _DECISIVE}
    model = LanguageModel.load(
        options.pretrained, skip_nonfinite=options.skip_nonfinite, devices=options.devices, verbose=True, **decisive
    )
    origin = {"pretrained": options.pretrained, "pretrained_sha256": model_fingerprint(options.pretrained)}
    run_language_model("finetune-lm", options, model, {**origin, **decisive})
