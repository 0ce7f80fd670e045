"""Arguments that several commands share, and the types that check their values."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any

_LARGEST_SEED = 2**32 - 1


def whole_number(smallest: int, largest: int | None = None) -> Callable[[str], int]:
    """A type for argparse: a whole number in a range."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = smallest - 1
        if value < smallest or (largest is not None and value > largest):
            bounds = f"of at least {smallest}" if largest is None else f"from {smallest} to {largest}"
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {bounds}")
        return value

    return parse


def positive_number(text: str) -> float:
    """A type for argparse: a finite number above 0."""
    value = _number(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def number_from_zero(text: str) -> float:
    """A type for argparse: a finite number of at least 0."""
    value = _number(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 0")
    return value


def share(text: str) -> float:
    """A type for argparse: a number of at least 0 and below 1."""
    value = _number(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 0 and below 1")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")  # in no range


def add_reading_options(parser: argparse.ArgumentParser, labels: bool, of_model: bool = False) -> None:
    """How DATA is read; with `of_model`, as the model's own texts were if nothing is said."""
    kept = (
        "Where columns are not given, those count that the model was trained with, if the file has them. The encoding "
        "is that of this file."
    )
    group = parser.add_argument_group("reading data", kept if of_model else None)
    group.add_argument(
        "--text-column",
        metavar="C",
        action="append",
        help="column of the texts; text, review, sentence, ... if not given; of several, the texts are joined",
    )
    if labels:
        group.add_argument(
            "--label-column",
            metavar="C",
            action="append",
            help="column of the labels; label, sentiment, ... if not given; several: each is a label and holds 1 or 0, "
            "and a text may have several",
        )
        group.add_argument(
            "--label-separator",
            metavar="S",
            help="what stands between the labels where a text may have several, such as ';'",
        )
    group.add_argument("--data-dir", metavar="D", help="folder of prepared TensorFlow data sets, for tfds:...")
    group.add_argument(
        "--encoding",
        metavar="E",
        help="of text files, such as cp1252; UTF-8, or UTF-16 where a file says so, if not given",
    )
    group.add_argument(
        "--download", action="store_true", help="allow a TensorFlow data set to be downloaded and prepared"
    )


def reading_options(options: argparse.Namespace) -> dict[str, Any]:
    """What `add_reading_options` asked for, but the column of labels, as arguments of `data.read_dataset`."""
    names = ("text_column", "data_dir", "download", "encoding")
    return {name: getattr(options, name) for name in names}


def labelled_reading_options(options: argparse.Namespace) -> dict[str, Any]:
    """The same with what was said of the labels."""
    labels = {"label_column": options.label_column, "label_separator": options.label_separator}
    return {**reading_options(options), **labels}


def as_the_model(options: argparse.Namespace) -> argparse.Namespace:
    """The options with the columns that the texts of `options.model` were read with in the place of those not given.

    A column of the model is read where the file has it; elsewhere it is found as usual.
    """
    from ulmfit_jax.cli.kept_columns import kept_columns
    from ulmfit_jax.data.records import IfThere

    kept = kept_columns(options.model)
    chosen = dict(vars(options))
    for name in ("text_column", "label_column"):
        if name in chosen and chosen[name] is None and kept.get(name):
            chosen[name] = IfThere(tuple(kept[name]))
    if "label_separator" in chosen and chosen["label_separator"] is None:
        chosen["label_separator"] = kept.get("label_separator")
    return argparse.Namespace(**chosen)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Results for programs."""
    parser.add_argument("--json", action="store_true", help="print the results as one line of JSON")


def add_model(parser: argparse.ArgumentParser) -> None:
    """The model of a command that uses one."""
    parser.add_argument(
        "model", metavar="DIR|NAME", help="folder of a model or a finished run, or a shipped one's name"
    )


def add_device_options(parser: argparse._ArgumentGroup | argparse.ArgumentParser) -> None:
    """Where the computation runs."""
    parser.add_argument("--devices", type=whole_number(1), metavar="N", help="devices to use; all if not given")


def add_precision(
    parser: argparse._ArgumentGroup | argparse.ArgumentParser,
    of_what: str = "in training",
    default: str = "bfloat16 on accelerators, float32 on CPUs",
) -> None:
    """The type of the operands of matrix products, none if not given."""
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16"),
        help=f"of matrix products {of_what}; bfloat16 is faster where the processor has it (default: {default})",
    )


def add_predict_precision(parser: argparse.ArgumentParser) -> None:
    """The same for answers."""
    add_precision(parser, "in the network that answers", "float32")


def add_seed(parser: argparse._ArgumentGroup | argparse.ArgumentParser, of_what: str) -> None:
    """The seed, 0 if not given."""
    parser.add_argument(
        "--seed", type=whole_number(0, _LARGEST_SEED), default=0, metavar="S", help=f"seed of {of_what} (default: 0)"
    )


def add_workers(parser: argparse._ArgumentGroup | argparse.ArgumentParser) -> None:
    """Processes that tokenise; more than a few gain nothing over reading the texts."""
    default = min(os.cpu_count() or 1, 8)
    parser.add_argument(
        "--workers",
        type=whole_number(1),
        default=default,
        metavar="N",
        help=f"processes that tokenise large texts (default here: {default})",
    )
