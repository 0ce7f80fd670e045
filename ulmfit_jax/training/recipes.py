"""The recipes: which stages and rates make ULMFiT.

The stages are fastai's reference notebook's, unless another source is named.
"""

from __future__ import annotations

from collections.abc import Sequence

from ulmfit_jax.training.stages import Rate, Stage

LAYER_FACTOR = 2.6
"""The paper's ratio between the learning rates of neighbouring layers (section 3.2)."""

FINE_TUNE_RATE, FINE_TUNE_SPREAD = 1.6e-2, 2.0
"""Of `TextClassifier(recipe="fine_tune")`, this project's (experiments/README.md compares): peak rate of the head's
stage, and the last layer group's rate over the first's in the one after it."""

FURTHER_RATE, FURTHER_SPREAD = 3e-3, 5.0
"""Peak rate of the head, and that over the embedding's, where a trained classifier learns on; this project's."""


def pretrain_stages(epochs: int = 1, learning_rate: float = 5e-3, weight_decay: float = 0.01) -> list[Stage]:
    """One-cycle from scratch, all layers: for a language model on general text."""
    return [Stage("pretrain", epochs, learning_rate, weight_decay=weight_decay, max_norm=0.25)]


def averaged_sgd_stages(epochs: int, learning_rate: float = 30.0) -> list[Stage]:
    """NT-ASGD, which trained the AWD-LSTM language models (Merity et al. 2017): a constant rate, then the mean."""
    return [
        Stage(
            "nt-asgd",
            epochs,
            learning_rate,
            schedule="constant",
            weight_decay=1.2e-6,
            max_norm=0.25,
            optimizer="nt_asgd",
        )
    ]


def language_model_stages(
    epochs: int = 10,
    frozen_epochs: int = 1,
    frozen_rate: Rate = 1e-2,
    learning_rate: Rate = 1e-3,
    weight_decay: float = 0.1,
    max_norm: float | None = None,
) -> list[Stage]:
    """Fine-tuning a language model: first embedding and decoder alone, then all layers.

    Defaults are the notebook's: one frozen epoch at 1e-2, ten at 1e-3, weight decay 0.1. A new vocabulary's rows start
    at the mean of the old ones, which is what the frozen epochs repair; with an unchanged vocabulary they may be 0.
    """
    stages = []
    if frozen_epochs:
        stages.append(Stage("lm frozen", frozen_epochs, frozen_rate, -1, weight_decay=weight_decay, max_norm=max_norm))
    if epochs:
        stages.append(Stage("lm", epochs, learning_rate, weight_decay=weight_decay, max_norm=max_norm))
    return stages


def gradual_unfreezing_stages(
    learning_rate: float = 2e-2,
    epochs: Sequence[int] = (1, 1, 1, 2),
    weight_decay: float = 0.01,
    n_groups: int = 5,
    lr_mult: float | None = None,
) -> list[Stage]:
    """The notebook's classifier: head, then one more group a stage, then everything, at falling rates.

    The peaks are learning_rate (2e-2), and 1/2, 1/4 and 1/20 of it for the next stages (1e-2, 5e-3, 1e-3). The first
    group's rate is the peak divided by `lr_mult`: None for 2.6 a layer, 45.7 in all.
    """
    spread = LAYER_FACTOR ** (n_groups - 1) if lr_mult is None else lr_mult
    peaks = [learning_rate * factor for factor in (1, 1 / 2, 1 / 4, 1 / 20)]
    plan: list[tuple[str, int, Rate]] = [
        ("head", -1, peaks[0]),
        ("last layer", -2, (peaks[1] / spread, peaks[1])),
        ("last two layers", -3, (peaks[2] / spread, peaks[2])),
        ("all layers", 0, (peaks[3] / spread, peaks[3])),
    ]
    return [
        Stage(name, count, rate, group, weight_decay=weight_decay)
        for (name, group, rate), count in zip(plan, epochs, strict=True)
        if count
    ]


def self_training_stages(epochs: int = 1, weight_decay: float = 0.01) -> list[Stage]:
    """All layers of a trained classifier learn from many more texts, labelled by machine."""
    return further_stages(epochs, weight_decay=weight_decay, name="self-training")


def further_stages(
    epochs: int,
    learning_rate: float = FURTHER_RATE,
    lr_mult: float = FURTHER_SPREAD,
    weight_decay: float = 0.01,
    name: str = "further training",
) -> list[Stage]:
    """All layers of a trained classifier learn on from other texts.

    The rates, by default 3e-3 and a fifth of it for the embedding, are warmer in the lower layers than the notebook's
    last stage, since there is text enough to move them.
    """
    return [Stage(name, epochs, (learning_rate / lr_mult, learning_rate), weight_decay=weight_decay)]


def linear_probe_stages() -> list[Stage]:
    """The encoder stays as it is, and a linear layer on its vectors is fitted to the end: as a test of what vectors
    know, Alain & Bengio (2016)."""
    return [Stage("linear probe", 1, 1.0, -1, schedule="constant", weight_decay=0.0, optimizer="lbfgs")]


def fine_tune_stages(
    epochs: int,
    learning_rate: float = 2e-3,
    frozen_epochs: int = 1,
    weight_decay: float = 0.01,
    lr_mult: float = 100.0,
) -> list[Stage]:
    """fastai's `fine_tune`: the last group for `frozen_epochs`, then everything at half the rate, the first group's
    divided by `lr_mult`."""
    stages = []
    if frozen_epochs:
        head = Stage("head", frozen_epochs, (None, learning_rate), -1, pct_start=0.99, weight_decay=weight_decay)
        stages.append(head)
    half = learning_rate / 2
    whole = Stage("all layers", epochs, (half / lr_mult, half), pct_start=0.3, div=5.0, weight_decay=weight_decay)
    return [*stages, whole]
