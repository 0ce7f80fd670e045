"""`ulmfit train --lr-find`: the learning-rate finder's curve of the classifier's first stage, for the report."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ulmfit_jax.cli.console import note
from ulmfit_jax.cli.training_run import TrainingRun

if TYPE_CHECKING:
    from ulmfit_jax.data import TextDataset


def found_rates(options: argparse.Namespace, data: TextDataset, training: TrainingRun) -> dict[str, Any]:
    """`rates`, `losses` and the readings by name, from the head on the run's fine-tuned language model.

    Nothing of the run depends on them.
    """
    from ulmfit_jax.learning_rates import classifier_rates
    from ulmfit_jax.text_classifier import TextClassifier

    note("looking for learning rates, for the report alone …")
    fine_tuned = training.folder / "language_model" / "model"
    pretrained = None if options.pretrained == "none" else options.pretrained
    model = TextClassifier(
        fine_tuned if (fine_tuned / "manifest.json").is_file() else pretrained,
        None if fine_tuned.is_dir() else options.preset,
        lm_epochs=0,
        batch_size=options.batch_size,
        precision=options.precision,
        seed=options.seed,
        devices=options.devices,
    )
    curve = classifier_rates(model, data.texts, data.targets or (), workers=options.workers)
    return {"rates": list(curve.rates), "losses": list(curve.losses), "readings": curve.readings()}
