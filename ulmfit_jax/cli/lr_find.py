"""`ulmfit lr-find`: which learning rates suit these texts."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from ulmfit_jax.cli.arguments import (
    add_json,
    add_reading_options,
    labelled_reading_options,
    positive_number,
    whole_number,
)
from ulmfit_jax.cli.console import show, show_json
from ulmfit_jax.cli.found_rates import shown_steps
from ulmfit_jax.cli.training_arguments import add_computation, add_pretrained
from ulmfit_jax.errors import ConfigError

if TYPE_CHECKING:
    from ulmfit_jax.training.lr_finder import LearningRates

SUMMARY = "find learning rates that suit these texts"

DESCRIPTION = """\
Train for some steps at learning rates that rise from --start to --end, look at the loss, and print the rates that
fastai's readings of the curve suggest: valley (half-way down its longest fall, fastai's default), steep (where it falls
fastest), minimum (a tenth of the rate with the lowest loss) and slide (where the curve begins to flatten, seen from its
end). On a terminal the curve is drawn too. Nothing is kept. If in doubt, take valley; where the default lies among the
readings, there is no reason to leave it.

With --stage lm, DATA needs no labels, and the rates are for `ulmfit finetune-lm --learning-rate` and `ulmfit train
--lm-learning-rate`. With --stage classifier the head trains on the encoder as it is: give the language model that has
read your texts with --pretrained; the rates are for `ulmfit train --learning-rate`.
"""

EXAMPLES = """\
examples:
  ulmfit lr-find reviews.csv --stage lm
  ulmfit lr-find reviews.csv --stage classifier --pretrained reviews-lm
  ulmfit lr-find reviews.csv --stage classifier --pretrained run/language_model --layers 2 --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ulmfit lr-find`."""
    parser.add_argument("data", metavar="DATA", help="texts, with or without labels; see ulmfit --help")
    parser.add_argument(
        "--stage",
        choices=("lm", "classifier"),
        default="lm",
        help="what is to be trained: the language model or the classifier (default: %(default)s)",
    )
    parser.add_argument(
        "--layers",
        type=whole_number(1),
        metavar="N",
        help="layer groups that train, from the last one; with three LSTM layers a language model has 4, a classifier "
        "5 (default: all of a language model, a classifier's head alone)",
    )
    parser.add_argument(
        "--start", type=positive_number, default=1e-7, metavar="R", help="first rate (default: %(default)s)"
    )
    parser.add_argument("--end", type=positive_number, default=10.0, metavar="R", help="last rate (default: 10)")
    parser.add_argument(
        "--steps", type=whole_number(20), default=100, metavar="N", help="steps between them (default: %(default)s)"
    )
    add_json(parser)
    group = parser.add_argument_group("training")
    add_pretrained(group, scratch=True)
    group.add_argument(
        "--batch-size",
        type=whole_number(1),
        metavar="N",
        help="rows of the stream, or texts of a batch (default: by the amount of text)",
    )
    add_computation(group)
    add_reading_options(parser, labels=True)


def run(options: argparse.Namespace) -> None:
    """Read, train at rising rates, print the suggestions."""
    if options.start >= options.end:
        raise ConfigError(f"--start {options.start:g} is not below --end {options.end:g}: the rates have to rise")
    if options.preset and options.pretrained != "none":
        raise ConfigError("--preset is only for --pretrained none: a pretrained model has its own sizes")
    curve = _curve(options)
    readings = curve.readings()
    if options.json:
        show_json({"stage": options.stage, **readings, "rates": curve.rates, "losses": curve.losses})
        return
    if sys.stdout.isatty():
        from ulmfit_jax.cli.plot import rate_plot

        show(rate_plot(curve.rates, curve.losses, readings) + "\n")
    for name, rate in readings.items():
        show(f"{name:<10}{rate:.2e}")


def _curve(options: argparse.Namespace) -> LearningRates:
    from ulmfit_jax.data import read_dataset
    from ulmfit_jax.language_model import LanguageModel
    from ulmfit_jax.learning_rates import classifier_rates, language_model_rates
    from ulmfit_jax.text_classifier import TextClassifier

    labels = options.stage == "classifier"
    data = read_dataset(options.data, require_labels=labels, **labelled_reading_options(options))
    finder: dict[str, Any] = {name: getattr(options, name) for name in ("start", "end", "steps", "workers")}
    chosen = {name: getattr(options, name) for name in ("batch_size", "precision", "seed", "devices")}
    pretrained = None if options.pretrained == "none" else options.pretrained
    with shown_steps(options.steps) as told:
        if labels:
            classifier = TextClassifier(pretrained, options.preset, lm_epochs=0, **chosen)
            targets, layers = data.targets or (), options.layers or 1
            return classifier_rates(classifier, data.texts, targets, layers=layers, told=told, **finder)
        model = LanguageModel(pretrained, options.preset, **chosen)
        return language_model_rates(model, data.texts, layers=options.layers, told=told, **finder)
