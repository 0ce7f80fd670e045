"""What `ulmfit train` can be told, and its explanation."""

from __future__ import annotations

import argparse
from typing import Any

from ulmfit_jax.cli.arguments import add_reading_options, number_from_zero, positive_number, share, whole_number
from ulmfit_jax.cli.directions import direction_models
from ulmfit_jax.cli.processes import add_process_options
from ulmfit_jax.cli.training_arguments import (
    LANGUAGE_MODEL_RATES,
    VALIDATION_FRACTION,
    add_adversarial,
    add_batches_and_validation,
    add_computation,
    add_pretrained,
    add_run_options,
    add_skipping,
)
from ulmfit_jax.errors import ConfigError

SUMMARY = "train a text classifier on labelled texts"

DESCRIPTION = """\
Train a classifier in the three steps of ULMFiT: take a language model that has read general text, fine-tune it on the
texts of DATA (and of --unlabeled, if you have more), then train a classifier on top of it, layer by layer.

A tenth of DATA is held out to measure each epoch, unless --valid names texts for that. The texts of --test are looked
at once, at the end, and the result stands beside that of a simple classifier (TF-IDF and logistic regression, trained
on all texts of DATA).

DIR/report.html is a page for a browser: accuracy beside that classifier, confusions, calibration, the surest mistakes
with the words behind them, curves of the training. It shows parts of your texts and needs no network.

Everything is kept in the folder --out. If the command is interrupted, give it again: it goes on from the last saved
state. Once it is finished, giving it again prints the results.
"""

EXAMPLES = """\
examples:
  ulmfit train reviews.csv --out run --test test.csv
  ulmfit train train.csv --valid dev.csv --test test.csv --out run
  ulmfit train reviews.csv --out run --unlabeled more.txt archive.jsonl
  ulmfit train letters.parquet --text-column body --label-column topic --out run
  ulmfit train letters.csv --label-column topics --label-separator ';' --out run     several labels a text
  ulmfit train comments.csv --label-column toxic --label-column threat --out run     the same, a column for each label
  ulmfit train 'tfds:imdb_reviews:train[:2500]' --test tfds:imdb_reviews:test --data-dir tfds --out run --json
  ulmfit train reviews.csv --out both --pretrained-backward backwards-model
  ulmfit train reviews.csv --out run --ngrams
  ulmfit train reviews.csv --out both --both-directions --ngrams
  ulmfit train reviews.csv --out run --dry-run
  ulmfit train --config run/ulmfit.toml --out again --seed 1
  ulmfit train reviews.csv --out scratch --pretrained none --preset tiny --lm-epochs 1 --epochs 1,0,0,0
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ulmfit train`."""
    parser.add_argument("data", metavar="DATA", help="labelled texts; see ulmfit --help")
    add_run_options(parser)
    parser.add_argument(
        "--valid",
        metavar="DATA",
        help="labelled texts to measure each epoch on, instead of a share of DATA; nothing is trained on them",
    )
    parser.add_argument("--test", metavar="DATA", help="labelled texts to test on, once, at the end")
    parser.add_argument(
        "--unlabeled",
        metavar="DATA",
        nargs="+",
        action="extend",
        default=[],
        help="more texts, without labels, for the language model, --self-training and --co-training",
    )
    parser.add_argument(
        "--transductive", action="store_true", help="take the test texts, without labels, as texts of --unlabeled too"
    )
    _add_training_options(parser)
    add_process_options(parser)
    add_reading_options(parser, labels=True)


def _add_training_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("training")
    add_pretrained(group, scratch=True)
    group.add_argument(
        "--both-directions",
        action="store_true",
        help="train a second classifier that reads from the end, in DIR/forward and DIR/backward, and join the two in "
        "DIR/model: the mean of their probabilities is better than either",
    )
    group.add_argument(
        "--pretrained-backward",
        metavar="NAME|DIR",
        help="the language model that reads from the end, which asks for both directions (default: a shipped one)",
    )
    group.add_argument(
        "--ngrams",
        action="store_true",
        help="let a linear model over n-grams, which learns in seconds, answer beside what is trained, each believed "
        "as far as it is right on texts that it has not learnt from (DIR/model is then an ensemble)",
    )
    group.add_argument(
        "--co-training",
        type=whole_number(0),
        default=0,
        metavar="N",
        help="with --ngrams: let network and n-grams label N texts of --unlabeled (or all that there are), for the "
        "n-grams to learn from; takes as long as predicting them (default: %(default)s, no co-training)",
    )
    group.add_argument(
        "--lm-epochs",
        type=whole_number(0),
        metavar="N",
        help="passes of the language model over the texts; 0 leaves it as it is (default: by the amount of text)",
    )
    group.add_argument(
        "--lm-learning-rate",
        type=positive_number,
        metavar="R",
        help=f"peak of the language model's rates (default: {LANGUAGE_MODEL_RATES})",
    )
    group.add_argument(
        "--lm-batch-size",
        type=whole_number(1),
        metavar="N",
        help="parts of the text that the language model reads side by side (default: 64, less for little text)",
    )
    group.add_argument(
        "--recipe",
        choices=("gradual_unfreezing", "fine_tune", "linear_probe"),
        default="gradual_unfreezing",
        help="how the classifier is trained: by gradual unfreezing, in the four stages of fastai's notebook; in two, "
        "the head and everything, in half the time and, with hundreds of labels, mostly to a lower error; or a linear "
        "head alone, fitted to the language model's vectors in one pass, for up to some hundred labels where the "
        "language model has read such texts (default: %(default)s)",
    )
    group.add_argument(
        "--epochs",
        type=_epochs,
        metavar="A,B,C,D",
        help="of the four stages of gradual unfreezing (1,1,1,2 for much data), of the two of fine_tune (1,2), or one "
        "number, of the last stage after one epoch of each before (default: by the number of texts)",
    )
    group.add_argument(
        "--learning-rate",
        type=positive_number,
        metavar="R",
        help="peak of the classifier's first stage; the later ones follow from it (default: 0.02, for fine_tune 0.016)",
    )
    group.add_argument(
        "--lr-mult",
        type=positive_number,
        metavar="M",
        help="where several layers train, the head's rate is M times the embedding's; with less, the lower layers move "
        "further, for which there must be labels (default: 45.7, for fine_tune 2)",
    )
    group.add_argument(
        "--drop-mult",
        type=number_from_zero,
        default=0.5,
        metavar="F",
        help="scales the classifier's dropouts; some hundred long texts, which a network learns by heart, may need 1 "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--label-smoothing",
        type=share,
        default=0.0,
        metavar="F",
        help="weight of the uniform distribution in the classifier's targets; MultiFiT has 0.1 (default: %(default)s)",
    )
    add_adversarial(group)
    group.add_argument(
        "--pool-layers",
        choices=("last", "all"),
        default="all",
        help="what the classifier's head reads of the language model: its last layer, as in the paper and fastai, or "
        "all (default: %(default)s)",
    )
    add_batches_and_validation(group)
    group.add_argument(
        "--keep-best",
        action="store_true",
        help="end with the epoch that had the lowest validation loss instead of the last one",
    )
    group.add_argument(
        "--patience",
        type=whole_number(1),
        metavar="N",
        help="end a stage of the classifier after N epochs without a lower validation loss (default: never)",
    )
    group.add_argument(
        "--class-weight",
        action="append",
        metavar="balanced|LABEL=W",
        help="count rare classes as much as frequent ones (balanced), or each text of LABEL as W (1 for other labels; "
        "give the option once for each)",
    )
    group.add_argument(
        "--self-training",
        type=_rounds,
        default=0,
        metavar="N[,N…]",
        help="let the classifier and n-grams label N texts of --unlabeled, and go on training on DATA and these; takes "
        "as long as an epoch over all of them, or several where they are few; a single number may be more than there "
        "are, several are several rounds (default: %(default)s, no self-training)",
    )
    group.add_argument(
        "--cache-frozen",
        action="store_true",
        help="while the head trains alone, run the encoder over the texts once instead of in each epoch",
    )
    group.add_argument(
        "--lr-find",
        action="store_true",
        help="run the learning-rate finder on the classifier too, for a curve in the report; no rate follows from it",
    )
    group.add_argument(
        "--seeds",
        type=whole_number(1),
        default=1,
        metavar="N",
        help="train N times, from the seeds S, S + 1, …, each in DIR/seed-S, and show how far the results differ "
        "(default: %(default)s)",
    )
    add_skipping(group)
    add_computation(group)


def check_combinations(options: argparse.Namespace) -> None:
    """Refuse what cannot work before anything is read; `--pretrained-backward` asks for both directions."""
    options.both_directions = options.both_directions or options.pretrained_backward is not None
    if options.seed + options.seeds > 2**32:
        raise ConfigError(
            f"--seed {options.seed} and the {options.seeds - 1} after it go beyond {2**32 - 1}: give less"
        )
    if options.both_directions:
        if options.seeds > 1:
            raise ConfigError(
                "--seeds and --both-directions do not go together: leave --seeds out, and give the command once for "
                "each seed, with --seed and an --out of its own"
            )
        direction_models(options)
    if options.preset and options.pretrained != "none":
        raise ConfigError("--preset is only for --pretrained none: a pretrained model has its own sizes")
    if options.lm_epochs == 0:
        without = {"--lm-learning-rate": options.lm_learning_rate, "--lm-batch-size": options.lm_batch_size}
        for name, value in without.items():
            if value is not None:
                raise ConfigError(f"{name} is for a language model that trains, and with --lm-epochs 0 none does")
    if options.transductive and options.test is None:
        raise ConfigError("--transductive is about the test texts: give them with --test")
    if options.self_training and not (options.unlabeled or options.transductive):
        raise ConfigError("--self-training needs texts without labels: give them with --unlabeled")
    chosen_class_weight(options)
    if options.valid is not None and options.validation_fraction != VALIDATION_FRACTION:
        raise ConfigError("--valid names the texts that measure: leave --validation-fraction out")
    if options.recipe == "linear_probe":
        if options.lr_find:
            raise ConfigError("--lr-find looks for a learning rate, and --recipe linear_probe has none: leave it out")
        return
    four = options.recipe == "gradual_unfreezing"
    if isinstance(options.epochs, tuple) and four != (len(options.epochs) == 4):
        wanted = "four numbers, such as 1,1,1,2, or one" if four else "two numbers, such as 1,2, or one"
        raise ConfigError(f"--epochs does not fit --recipe {options.recipe}, which takes {wanted}")


def chosen_class_weight(options: argparse.Namespace) -> dict[str, Any]:
    """The argument `class_weight` of `TextClassifier`; nothing where the option is not given.

    Raises:
        ConfigError: neither `balanced` alone nor labels, each once, with a number.
    """
    given: list[str] = options.class_weight or []
    if given in ([], ["balanced"]):
        return {"class_weight": "balanced"} if given else {}
    weights: dict[str, float] = {}
    for entry in given:
        label, _, weight = entry.rpartition("=")
        try:
            number = positive_number(weight)
        except argparse.ArgumentTypeError:
            number = 0.0
        if not label or not number or label in weights:
            raise ConfigError(f"--class-weight {entry}: give 'balanced' alone, or LABEL=W, W above 0, once for a label")
        weights[label] = number
    return {"class_weight": weights}


def chosen_stopping(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments `keep_best` and `patience` of `TextClassifier` that were given."""
    best = {"keep_best": True} if options.keep_best else {}
    return best if options.patience is None else {**best, "patience": options.patience}


def _rounds(text: str) -> int | tuple[int, ...]:
    """0, or the texts of each round."""
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts) or (len(parts) > 1 and not all(map(int, parts))):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of texts, nor several such as 20000,10000")
    numbers = tuple(map(int, parts))
    return numbers if len(numbers) > 1 else numbers[0]


def _epochs(text: str) -> int | tuple[int, ...]:
    """One number above 0, two of which the second is, or four of which one is."""
    parts = text.split(",")
    if all(part.strip().isdecimal() for part in parts):
        numbers = tuple(map(int, parts))
        if (len(numbers) == 4 and any(numbers)) or (len(numbers) in (1, 2) and numbers[-1]):
            return numbers[0] if len(numbers) == 1 else numbers
    raise argparse.ArgumentTypeError(
        f"{text!r} is neither four numbers such as 1,1,1,2 nor two such as 1,2 nor one above 0"
    )
