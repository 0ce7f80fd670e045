"""`ulmfit pretrain`: a language model from scratch."""

from __future__ import annotations

import argparse

from ulmfit_jax.cli.arguments import add_reading_options, positive_number, whole_number
from ulmfit_jax.cli.language_model_run import run_language_model
from ulmfit_jax.cli.processes import add_process_options, join_processes
from ulmfit_jax.cli.training_arguments import (
    add_computation,
    add_documents,
    add_language_model_options,
    add_run_options,
    add_skipping,
)
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.architecture import PRESETS

SUMMARY = "train a language model from scratch"

DESCRIPTION = """\
Train a tokeniser and a language model on general text, for `ulmfit train --pretrained DIR` to start from. The text is
read as a stream and may be larger than memory; the last 5 % of the documents, at most 2,000, are held
out to measure each epoch.

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
  ulmfit pretrain japanese.txt --out japanese-model --vocabulary-size 16000 --character-coverage 0.9995
  ulmfit pretrain --config wiki-model/ulmfit.toml --out longer --epochs 2
"""

_DECISIVE = ("preset", "backwards", "epochs", "batch_size", "learning_rate", "drop_mult", "precision", "seed")
"""Options that decide what is learnt, under their names in `LanguageModel`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ulmfit pretrain`."""
    parser.add_argument("data", metavar="DATA", help="texts")
    add_run_options(parser)
    add_documents(parser, default="blocks")
    group = parser.add_argument_group("training")
    group.add_argument("--preset", choices=PRESETS, default="small", help="size of the model (default: %(default)s)")
    group.add_argument(
        "--tokenizer",
        choices=("sentencepiece", "words", "spacy"),
        default="sentencepiece",
        help="pieces of words, whole words, or whole words as fastai and spaCy cut them (default: %(default)s)",
    )
    group.add_argument(
        "--vocabulary-size",
        type=whole_number(1),
        metavar="N",
        help="the most tokens that the tokeniser is trained for (default: 8,192, tiny 1,000, ulmfit 30,000)",
    )
    group.add_argument(
        "--character-coverage",
        type=positive_number,
        metavar="F",
        help="of sentencepiece: the share of all running characters whose kinds get a piece of their own, 0.9 to 1 "
        "(default: 0.9998)",
    )
    group.add_argument("--language", metavar="L", help="language for --tokenizer spacy (default: en)")
    group.add_argument("--backwards", action="store_true", help="learn to read from the end to the beginning")
    add_language_model_options(group)
    add_skipping(group)
    add_computation(group)
    add_process_options(parser)
    add_reading_options(parser, labels=False)


def run(options: argparse.Namespace) -> None:
    """Train or go on, print the results."""
    from ulmfit_jax.language_model import LanguageModel

    join_processes(options)
    decisive = {name: getattr(options, name) for name in _DECISIVE} | {"tokenizer": _tokenizer(options)}
    chosen = {name: getattr(options, name) for name in ("vocabulary_size", "character_coverage")}
    decisive |= {name: value for name, value in chosen.items() if value is not None}
    model = LanguageModel(
        None, skip_nonfinite=options.skip_nonfinite, devices=options.devices, verbose=True, **decisive
    )
    run_language_model("pretrain", options, model, decisive)


def _tokenizer(options: argparse.Namespace) -> str:
    """The tokeniser under its name in `LanguageModel`."""
    if options.tokenizer == "spacy":
        return f"spacy:{options.language or 'en'}"
    if options.language not in (None, "en"):  # which runs from before name in their ulmfit.toml
        raise ConfigError(f"--language is for --tokenizer spacy, and {options.tokenizer} has none: leave it out")
    return options.tokenizer
