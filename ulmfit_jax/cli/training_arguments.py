"""Options that the commands that train share: `train`, `pretrain`, `finetune-lm` and, as far as it goes, `lr-find`."""

from __future__ import annotations

import argparse

from ulmfit_jax.cli.arguments import (
    add_device_options,
    add_json,
    add_precision,
    add_seed,
    add_workers,
    number_from_zero,
    positive_number,
    share,
    whole_number,
)
from ulmfit_jax.nn.architecture import PRESETS
from ulmfit_jax.pretrained import SHIPPED

LANGUAGE_MODEL_RATES = "0.005 from scratch; in fine-tuning 0.01 / epochs, at most 0.004"
"""The default peak rates of a language model, for help."""

VALIDATION_FRACTION = 0.1
"""Share of the labelled texts that measures where nothing is said, as in `TextClassifier`."""

_Group = argparse._ArgumentGroup | argparse.ArgumentParser


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Where a run is kept, where its options may come from, and whether it is only to be planned."""
    parser.add_argument("--out", metavar="DIR", required=True, help="folder of the run, made if it does not exist")
    parser.add_argument(
        "--config",
        metavar="FILE.toml",
        help="take options from this file: keys are the long names of the options, and data for DATA; what is also on "
        "the command line counts as it stands there, --no-X for a switch X",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print what would be trained and, after some steps to measure, about how long it takes; train nothing",
    )
    add_json(parser)


def add_documents(parser: argparse.ArgumentParser, default: str) -> None:
    """What a document is."""
    parser.add_argument(
        "--documents",
        choices=("blocks", "lines", "files"),
        default=default,
        help="what a document is in a text file: what blank lines separate, a line, or the file (default: %(default)s)",
    )


def add_pretrained(group: _Group, scratch: bool) -> None:
    """The language model to start from; with `scratch` also none, and then a preset."""
    group.add_argument(
        "--pretrained",
        metavar="NAME|DIR|none" if scratch else "NAME|DIR",
        default=SHIPPED,
        help="the language model to start from: a shipped one's name, "
        + ("a model folder, or none" if scratch else "or a model folder")
        + " (default: %(default)s)",
    )
    if scratch:
        group.add_argument(
            "--preset", choices=PRESETS, help="size of a model from scratch, with --pretrained none (default: small)"
        )


def add_language_model_options(group: _Group) -> None:
    """How long and at what rates a language model is trained."""
    group.add_argument(
        "--epochs", type=whole_number(1), metavar="N", help="passes over the text (default: by the amount of text)"
    )
    group.add_argument(
        "--batch-size",
        type=whole_number(1),
        metavar="N",
        help="parts of the text that are read side by side (default: 64, less for little text)",
    )
    group.add_argument(
        "--learning-rate",
        type=positive_number,
        metavar="R",
        help=f"peak of the one-cycle schedule (default: {LANGUAGE_MODEL_RATES})",
    )
    group.add_argument(
        "--drop-mult",
        type=number_from_zero,
        metavar="F",
        help="scales the dropouts of the AWD-LSTM (default: 0.1 for one epoch, 0.5 for more)",
    )


def add_batches_and_validation(group: _Group) -> None:
    """Texts of a classifier's batch, and the share of them that measures."""
    group.add_argument(
        "--batch-size", type=whole_number(1), metavar="N", help="texts of a batch (default: by the number of texts)"
    )
    group.add_argument(
        "--validation-fraction",
        type=share,
        default=VALIDATION_FRACTION,
        metavar="F",
        help="share of DATA to measure on instead of training on it; 0 measures nothing (default: %(default)s)",
    )


def add_adversarial(group: _Group) -> None:
    """How far adversarial examples lie from the documents, 0 for none."""
    group.add_argument(
        "--adversarial",
        type=number_from_zero,
        default=0.0,
        metavar="F",
        help="where all layers train, learn from each text once more, its embedded tokens pushed to where the loss "
        "rises most, in all by F times the length of a token's vector: try 0.2; such steps take twice the time "
        "(default: %(default)s, not at all)",
    )


def add_skipping(group: _Group) -> None:
    """How many steps may be left out because a number is not finite, 0 if not given."""
    group.add_argument(
        "--skip-nonfinite",
        type=whole_number(0),
        default=0,
        metavar="N",
        help="go on after at most N steps whose loss or gradient is not finite, without their effect "
        "(default: %(default)s, the first one ends the training)",
    )


def add_computation(group: _Group) -> None:
    """Precision, seed, devices and processes of a training."""
    add_precision(group)
    add_seed(group, "everything that is drawn at random")
    add_device_options(group)
    add_workers(group)
