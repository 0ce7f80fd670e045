"""`ulmfit train --ngrams`: a linear model over n-grams answers beside the trained networks."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ulmfit_jax.data import TextDataset
    from ulmfit_jax.ensemble import Ensemble


def chosen_ngrams(options: argparse.Namespace) -> dict[str, Any]:
    """What a run's configuration says of n-grams: nothing where they were not asked for."""
    return {"ngrams": True} if options.ngrams else {}


def learn_ngrams(model: Ensemble, options: argparse.Namespace, data: TextDataset) -> dict[str, Any]:
    """Let n-grams of the texts that the networks were trained on answer too; the texts that were held out tell how far
    the networks can be believed.

    Returns:
        The report's entry `ngrams`.
    """
    from ulmfit_jax.classifier_plan import split_rows

    learnt, held_out = map(data.select, split_rows(data, options.validation_fraction, options.seed))
    model.learn_ngrams(learnt.texts, learnt.targets or (), held_out.texts, held_out.targets or ())
    assert model.ngrams is not None
    return {"ngrams": model.ngrams.facts()}
