"""What `ulmfit train` reads: texts to learn from, to measure on and to test, and texts without labels."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ulmfit_jax.cli.arguments import labelled_reading_options, reading_options
from ulmfit_jax.cli.console import note
from ulmfit_jax.cli.directions import direction_models
from ulmfit_jax.cli.labelled_texts import remark_on_measuring_texts, remark_on_separator, remark_on_spelling
from ulmfit_jax.cli.ngrams import check_co_training
from ulmfit_jax.errors import ConfigError

if TYPE_CHECKING:
    from ulmfit_jax.data import TextDataset


@dataclass(frozen=True)
class TrainTexts:
    """What a training reads.

    Attributes:
        data: the texts of `DATA`, and behind them those of `--valid`.
        test: those of `--test`, or None.
        unlabeled: texts without labels, none of which is a text of `--valid`.
    """

    data: TextDataset
    test: TextDataset | None
    unlabeled: list[str]


def read_texts(options: argparse.Namespace) -> TrainTexts:
    """Read what the arguments name, and remark on what is probably not intended.

    Raises:
        UlmfitError: something cannot be read, has labels of another kind or that `DATA` does not have, or co-training
            has too few texts.
    """
    from ulmfit_jax.answers import check_kind
    from ulmfit_jax.data import check_labels
    from ulmfit_jax.self_training import drawn_rounds

    data = _read(options, options.data)
    remark_on_separator(data)
    remark_on_spelling(data)
    classes = check_labels(data)
    check_co_training(options, data.label_sets is not None)
    test = _read(options, options.test) if options.test is not None else None
    if test is not None:
        check_kind(test, data.label_sets is not None)
        check_labels(test, classes)
    valid = _read(options, options.valid) if options.valid is not None else None
    if valid is not None:
        remark_on_measuring_texts(valid, data, test)
        data = data.with_valid(valid)
    unlabeled = _unlabeled(options, valid, test)
    why = _not_fine_tuned(options)
    if unlabeled and why and not (options.self_training or options.co_training):
        note(f"{why}, only --self-training and --co-training read texts without labels: they are left out")
        unlabeled = []
    if options.pretrained == "none" and options.lm_epochs == 0:
        note("--pretrained none with --lm-epochs 0: no language model learns, the classifier starts from random layers")
    if options.co_training:
        if not unlabeled:
            raise ConfigError(
                "--co-training needs texts without labels besides those of --valid and --test: give others"
            )
        drawn_rounds(unlabeled, [options.co_training], options.seed, data.texts)  # refused now or never
    return TrainTexts(data, test, unlabeled)


def network_reads_unlabeled(options: argparse.Namespace) -> bool:
    """Whether a network's training reads the texts without labels; else n-grams at most do.

    The language model and self-training do; from scratch the tokeniser learns from them too.
    """
    return options.pretrained == "none" or bool(options.self_training) or _not_fine_tuned(options) is None


def _read(options: argparse.Namespace, location: str) -> TextDataset:
    from ulmfit_jax.data import read_dataset

    return read_dataset(location, **labelled_reading_options(options))


def _unlabeled(options: argparse.Namespace, valid: TextDataset | None, test: TextDataset | None) -> list[str]:
    """Texts without labels: without those of `--valid` and without the test texts, or, if that was asked for, with all
    of the latter."""
    from ulmfit_jax.data import read_dataset

    reading = {**reading_options(options), "require_labels": False}
    texts = [text for location in options.unlabeled for text in read_dataset(location, **reading).texts]
    for kind, apart in (("validation", valid), ("test", test)):
        if apart is None:
            continue
        known = set(apart.texts)
        kept = [text for text in texts if text not in known]
        count, texts = len(texts) - len(kept), kept
        if kind == "test" and options.transductive:
            measuring = set(() if valid is None else valid.texts)
            texts = [*kept, *(text for text in apart.texts if text not in measuring)]
        elif count:
            are = f"is a {kind} text and is" if count == 1 else f"are {kind} texts and are"
            note(f"{count:,} of the unlabelled texts {are} left out")
    return texts


def _not_fine_tuned(options: argparse.Namespace) -> str | None:
    """Why no language model learns from the texts; None where one does."""
    from ulmfit_jax.artifact.folder import read_config
    from ulmfit_jax.pretrained import model_folder

    if options.lm_epochs == 0:
        return "with --lm-epochs 0"
    starts = direction_models(options).values() if options.both_directions else [options.pretrained]
    kinds = [read_config(model_folder(name)).get("kind") for name in starts if name != "none"]
    return "from an encoder alone" if kinds and set(kinds) == {"encoder"} else None
