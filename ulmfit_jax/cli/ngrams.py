"""`ulmfit train --ngrams`: a linear model over n-grams answers beside the trained networks; with `--co-training` it
learns from texts that both have labelled."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ulmfit_jax.errors import ConfigError

if TYPE_CHECKING:
    from ulmfit_jax.data import TextDataset
    from ulmfit_jax.ensemble import Ensemble


def check_co_training(options: argparse.Namespace, multi_label: bool) -> None:
    """Refuse what cannot work before anything is trained.

    Raises:
        ConfigError: co-training without n-grams, without unlabelled texts or where a text may have several labels.
    """
    if not options.co_training:
        return
    if not options.ngrams:
        raise ConfigError("--co-training teaches n-grams: add --ngrams")
    if not (options.unlabeled or options.transductive):
        raise ConfigError("--co-training needs texts without labels: give them with --unlabeled")
    if multi_label:
        raise ConfigError("--co-training gives a text one label, but here a text may have several: leave it out")


def chosen_ngrams(options: argparse.Namespace) -> dict[str, Any]:
    """What a run's configuration says of n-grams: nothing where they were not asked for."""
    taught = {"co_training": options.co_training} if options.co_training else {}
    return {"ngrams": True, **taught} if options.ngrams else {}


def learn_ngrams(
    model: Ensemble, options: argparse.Namespace, data: TextDataset, unlabeled: Sequence[str]
) -> tuple[dict[str, Any], dict[str, float]]:
    """Let n-grams of the texts that the networks were trained on answer too; the texts that were held out tell how far
    the networks can be believed. With `--co-training`, n-grams and networks label some of the texts without labels.

    Returns:
        The report's entries `ngrams` and, with co-training, `co_training`, the number of these texts; and the seconds
        that it took, under the name that they have in the report.
    """
    from ulmfit_jax.data.split import split_rows
    from ulmfit_jax.self_training import drawn_rounds

    started = time.monotonic()
    learnt, held_out = map(data.select, split_rows(data, options.validation_fraction, options.seed))
    more: list[str] = []
    if options.co_training:
        (more,) = drawn_rounds(unlabeled, [options.co_training], options.seed, data.texts)
    model.learn_ngrams(learnt.texts, learnt.targets or (), held_out.texts, held_out.targets or (), unlabeled=more)
    assert model.ngrams is not None
    entries = {"ngrams": model.ngrams.facts(), **({"co_training": len(more)} if more else {})}
    return entries, {"n-grams": round(time.monotonic() - started, 3)}
