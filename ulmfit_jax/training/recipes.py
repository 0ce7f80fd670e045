"""The recipes: which stages, rates and dropouts make ULMFiT, and one call each to run them.

The stages are fastai's reference notebook's, unless another source is named. Everything that a recipe takes from its
data and settings is an argument, so a recipe run again with the same arguments gives the same model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ulmfit_jax.data.batches import DocumentBatches
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.data.stream import LanguageModelStream
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.documents import MAX_LENGTH
from ulmfit_jax.nn.parameters import Tree
from ulmfit_jax.training.classifier import ClassifierTask
from ulmfit_jax.training.language_model import LanguageModelTask
from ulmfit_jax.training.loop import Loop, LoopOptions, TrainResult
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.progress import Progress
from ulmfit_jax.training.run_folder import RunFolder
from ulmfit_jax.training.stages import Rate, Stage

LAYER_FACTOR = 2.6
"""The paper's ratio between the learning rates of neighbouring layers (section 3.2)."""


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
) -> list[Stage]:
    """The notebook's classifier: head, then one more group a stage, then everything, at falling rates.

    The peaks are learning_rate (2e-2), and 1/2, 1/4 and 1/20 of it for the next stages (1e-2, 5e-3, 1e-3), each spread
    over the groups by 2.6 a layer.
    """
    spread = LAYER_FACTOR ** (n_groups - 1)
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


def fine_tune_stages(
    epochs: int, learning_rate: float = 2e-3, frozen_epochs: int = 1, weight_decay: float = 0.01
) -> list[Stage]:
    """fastai's `fine_tune`: the last group for `frozen_epochs`, then everything at half the rate with a spread of
    100."""
    stages = []
    if frozen_epochs:
        head = Stage("head", frozen_epochs, (None, learning_rate), -1, pct_start=0.99, weight_decay=weight_decay)
        stages.append(head)
    half = learning_rate / 2
    whole = Stage("all layers", epochs, (half / 100, half), pct_start=0.3, div=5.0, weight_decay=weight_decay)
    return [*stages, whole]


@dataclass(frozen=True)
class LanguageModelSettings:
    """How a language model is trained.

    Attributes:
        batch_size: rows of the token stream; 64 in fastai and the paper.
        bptt: tokens of a batch in each row; 72 in fastai, 70 in the paper.
        drop_mult: scales the dropouts.
        activation_penalty: AR.
        temporal_penalty: TAR.
        backwards: predict each document from its end.
    """

    batch_size: int = 64
    bptt: int = 72
    drop_mult: float = 1.0
    activation_penalty: float = 2.0
    temporal_penalty: float = 1.0
    backwards: bool = False


@dataclass(frozen=True)
class ClassifierSettings:
    """How a classifier is trained.

    Attributes:
        batch_size: documents of a batch; 64 in fastai's notebook, 32 in the paper's scripts.
        bptt: tokens of a chunk.
        max_length: tokens at a document's end that are pooled and trained on.
        drop_mult: scales the dropouts; 0.5 in fastai.
        activation_penalty: AR.
        temporal_penalty: TAR.
        label_smoothing: 0 in the paper, 0.1 in MultiFiT.
        backwards: read each document from its end, for an encoder that was trained so.
    """

    batch_size: int = 64
    bptt: int = 72
    max_length: int = MAX_LENGTH
    drop_mult: float = 0.5
    activation_penalty: float = 2.0
    temporal_penalty: float = 1.0
    label_smoothing: float = 0.0
    backwards: bool = False


@dataclass(frozen=True)
class RunContext:
    """Where and how a recipe runs: everything that does not change what is learnt.

    Attributes:
        devices: devices to run on.
        folder: where the run's states are kept; None keeps nothing.
        options: see `LoopOptions`.
        progress: is told what happens; None tells nobody.
    """

    devices: Devices
    folder: RunFolder | None = None
    options: LoopOptions = field(default_factory=LoopOptions)
    progress: Progress | None = None


def train_language_model(
    architecture: Architecture,
    parameters: Tree | None,
    train: Corpus,
    valid: Corpus | None,
    stages: Sequence[Stage],
    settings: LanguageModelSettings,
    seed: int,
    context: RunContext,
) -> TrainResult:
    """Train a language model, from `parameters` or (None) from fresh ones drawn from `seed`.

    Raises:
        DataError: a corpus is too small for the batch size.
        TrainingError: a loss was not finite.
    """
    task = LanguageModelTask(
        architecture,
        LanguageModelStream(train, settings.batch_size, settings.bptt, settings.backwards, shuffle=True, seed=seed),
        validation_stream(valid, settings, len(context.devices)),
        context.devices,
        drop_mult=settings.drop_mult,
        activation_penalty=settings.activation_penalty,
        temporal_penalty=settings.temporal_penalty,
    )
    if parameters is None:
        parameters, _ = task.definition.initialise(seed)
    return _loop(task, stages, seed, context).run(parameters, {})


def validation_stream(
    valid: Corpus | None, settings: LanguageModelSettings, n_devices: int
) -> LanguageModelStream | None:
    """The stream to measure on: with fewer rows than in training where the corpus is small."""
    if valid is None or valid.n_tokens < 2 * n_devices:
        return None
    rows = min(settings.batch_size, max((valid.n_tokens - 1) // settings.bptt, 1))
    rows = max(rows - rows % n_devices, n_devices)
    return LanguageModelStream(valid, rows, settings.bptt, settings.backwards)


def train_classifier(
    architecture: Architecture,
    head: Head,
    encoder: Tree | None,
    train: tuple[Corpus, np.ndarray],
    valid: tuple[Corpus, np.ndarray] | None,
    stages: Sequence[Stage],
    settings: ClassifierSettings,
    seed: int,
    context: RunContext,
) -> TrainResult:
    """Train a classifier from an `encoder`'s parameters (None: fresh ones) and a fresh head.

    Args:
        architecture: sizes of the encoder.
        head: sizes of the head.
        encoder: the `encoder` branch of a language model's parameters.
        train: documents and their class indices.
        valid: the same to measure on, or None.
        stages: the fits.
        settings: see `ClassifierSettings`.
        seed: of the head's initial values, dropout and the order of the data.
        context: see `RunContext`.

    Raises:
        ArtifactError: the encoder's shapes are not those of the architecture.
        TrainingError: a loss was not finite.
    """

    def batches(data: tuple[Corpus, np.ndarray]) -> DocumentBatches:
        return DocumentBatches(data[0], data[1], settings.batch_size, settings.bptt, settings.backwards, seed)

    task = ClassifierTask(
        architecture,
        head,
        batches(train),
        batches(valid) if valid is not None else None,
        context.devices,
        drop_mult=settings.drop_mult,
        activation_penalty=settings.activation_penalty,
        temporal_penalty=settings.temporal_penalty,
        label_smoothing=settings.label_smoothing,
        max_length=settings.max_length,
    )
    parameters, statistics = task.definition.initialise(seed)
    if encoder is not None:
        parameters = {**parameters, "encoder": encoder}
        task.definition.check(parameters, statistics, "the encoder")
    return _loop(task, stages, seed, context).run(parameters, statistics)


def _loop(task: LanguageModelTask | ClassifierTask, stages: Sequence[Stage], seed: int, context: RunContext) -> Loop:
    return Loop(
        task,
        stages,
        context.devices,
        seed=seed,
        folder=context.folder,
        options=context.options,
        progress=context.progress,
    )
