"""What a classifier's options leave open, chosen by its documents: the split, batches, stages and settings."""

from __future__ import annotations

import numpy as np

from ulmfit_jax.classifier_options import ClassifierOptions
from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.split import split_rows
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.products import chosen_precision
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.recipes import (
    FINE_TUNE_RATE,
    FINE_TUNE_SPREAD,
    fine_tune_stages,
    gradual_unfreezing_stages,
    linear_probe_stages,
)
from ulmfit_jax.training.runs import ClassifierSettings
from ulmfit_jax.training.scaling import classifier_batch_size, unfreezing_epochs
from ulmfit_jax.training.stages import Stage


def chosen_split(data: TextDataset, options: ClassifierOptions) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `data` that are trained on, and those that measure each epoch; see `split_rows`."""
    return split_rows(data, options.validation_fraction, options.seed)


def training_part(data: TextDataset, options: ClassifierOptions) -> TextDataset:
    """What is left of `data` to train on when the documents to measure on are taken out."""
    return data.select(chosen_split(data, options)[0])


def chosen_batch_size(options: ClassifierOptions, documents: int) -> int:
    """Documents in a batch: as asked, or by the number to learn from."""
    return options.batch_size or Devices(options.devices).batch_of(classifier_batch_size(documents))


def chosen_stages(options: ClassifierOptions, documents: int, batch_size: int, n_groups: int) -> list[Stage]:
    """The fits of the recipe.

    Args:
        options: see `TextClassifier`.
        documents: number of those to learn from.
        batch_size: of these.
        n_groups: groups of layers that are unfrozen one after the other.

    Raises:
        ConfigError: `epochs` does not suit the recipe, or no stage trains what `adversarial` acts on.
    """
    if options.is_probe:
        return linear_probe_stages()
    chosen, unfreezing = options.epochs, unfreezing_epochs(documents, batch_size)
    if options.recipe == "fine_tune":
        pair = (unfreezing[0], unfreezing[-1]) if chosen is None else (1, chosen) if isinstance(chosen, int) else chosen
        if len(pair) != 2 or pair[1] < 1:
            raise ConfigError(f"epochs is {chosen!r}: fine_tune takes one number, such as 4, or two, such as (1, 4)")
        rate, spread = options.learning_rate or FINE_TUNE_RATE, options.lr_mult or FINE_TUNE_SPREAD
        return fine_tune_stages(pair[1], rate, pair[0], options.weight_decay, spread)
    four = unfreezing if chosen is None else (1, 1, 1, chosen) if isinstance(chosen, int) else chosen
    if len(four) != 4 or min(four) < 0 or not sum(four) or chosen == 0:
        raise ConfigError(
            f"epochs is {chosen!r}: gradual unfreezing takes four numbers, such as (1, 1, 1, 2), or one, its last"
        )
    if options.adversarial and not four[3]:
        raise ConfigError(
            f"adversarial acts where all layers train, but of the epochs {four!r} the last stage has none"
        )
    return gradual_unfreezing_stages(
        options.learning_rate or 2e-2, four, options.weight_decay, n_groups, options.lr_mult
    )


def chosen_settings(
    backwards: bool, options: ClassifierOptions, batch_size: int, weights: tuple[float, ...] | None
) -> ClassifierSettings:
    """Batches, dropout and penalties.

    Args:
        backwards: whether documents are read from their end.
        options: see `TextClassifier`.
        batch_size: of the documents to learn from.
        weights: of the classes, or None.
    """
    return ClassifierSettings(
        batch_size=batch_size,
        bptt=options.bptt,
        precision=chosen_precision(options.precision),
        max_length=options.max_length,
        drop_mult=options.drop_mult,
        label_smoothing=options.label_smoothing,
        adversarial=options.adversarial,
        class_weights=weights,
        cache_frozen=options.cache_frozen or options.is_probe,
        backwards=backwards,
        linear_probe=options.is_probe,
    )
