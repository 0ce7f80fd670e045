"""`ulmfit train --lr-find`: the learning-rate finder's curve of the classifier's first stage, for the report."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ulmfit_jax.cli.console import note
from ulmfit_jax.cli.training_run import TrainingRun

if TYPE_CHECKING:
    from ulmfit_jax.data import TextDataset
    from ulmfit_jax.text_classifier import TextClassifier


@contextlib.contextmanager
def shown_steps(steps: int = 100) -> Iterator[Callable[[int, float], None]]:
    """What shows how far so many steps of the finder are, on a terminal until they are done."""
    from ulmfit_jax.progress import ConsoleProgress

    progress = ConsoleProgress()
    progress.run_started("learning-rate finder", steps)
    try:
        yield progress.step_done
    finally:
        progress.run_done()


def found_rates(
    options: argparse.Namespace, model: TextClassifier, data: TextDataset, training: TrainingRun
) -> dict[str, Any]:
    """`rates`, `losses` and the readings by name, from the head of `model`, the run's classifier before its training,
    on the run's fine-tuned language model.

    Nothing of the run depends on them.
    """
    from ulmfit_jax.learning_rates import classifier_rates

    note("looking for learning rates, for the report alone …")
    fine_tuned = training.folder / "language_model" / "model"
    if (fine_tuned / "manifest.json").is_file():
        model.set_params(pretrained=fine_tuned, preset=None)
    model.set_params(lm_epochs=0)
    if data.n_valid:  # nothing of what is learnt is to be held out
        model.set_params(validation_fraction=0.0, keep_best=False, patience=None)
    with shown_steps() as told:
        learnt = data.without_valid
        curve = classifier_rates(model, learnt.texts, learnt.targets or (), workers=options.workers, told=told)
    return {"rates": list(curve.rates), "losses": list(curve.losses), "readings": curve.readings()}
