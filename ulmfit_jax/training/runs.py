"""One call for a whole training: settings, data and stages in, parameters and the table of epochs out.

Everything that a run takes from its data and settings is an argument, so the same arguments give the same model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import jax.numpy as jnp
import numpy as np

from ulmfit_jax.data.batches import DocumentBatches
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.data.stream import LanguageModelStream
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.documents import MAX_LENGTH
from ulmfit_jax.nn.parameters import Tree
from ulmfit_jax.training.both_directions import DIRECTIONS, BothDirectionsTask, of_direction, paired
from ulmfit_jax.training.classifier import ClassifierTask
from ulmfit_jax.training.language_model import LanguageModelTask
from ulmfit_jax.training.linear_probe import LinearProbeTask
from ulmfit_jax.training.loop import Loop
from ulmfit_jax.training.loop_options import LoopOptions, TrainResult
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.progress import Progress
from ulmfit_jax.training.run_folder import RunFolder
from ulmfit_jax.training.stages import Stage
from ulmfit_jax.training.task import Task


@dataclass(frozen=True)
class LanguageModelSettings:
    """How a language model is trained.

    Attributes:
        batch_size: rows of the token stream; 64 in fastai and the paper.
        bptt: tokens of a batch in each row; 72 in fastai, 70 in the paper.
        drop_mult: scales the dropouts.
        activation_penalty: AR.
        temporal_penalty: TAR.
        reset_state: start each document from the zero state, as the classifier does; False carries the state over
            from the document before, as fastai does.
        backwards: predict each document from its end.
        precision: what the operands of matrix products are rounded to, `float32` or `bfloat16`.
    """

    batch_size: int = 64
    bptt: int = 72
    drop_mult: float = 1.0
    activation_penalty: float = 2.0
    temporal_penalty: float = 1.0
    reset_state: bool = False
    backwards: bool = False
    precision: str = "float32"


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
        adversarial: norm of a document's adversarial perturbation, in norms of an embedded token; 0: none.
        class_weights: how much each class counts in the loss; None, as in the paper: all alike.
        backwards: read each document from its end, for an encoder that was trained so.
        precision: what the operands of matrix products are rounded to, `float32` or `bfloat16`.
        cache_frozen: while the head trains alone, on vectors that are computed once, with the encoder's dropout off.
        buckets: see `DocumentBatches`; None: its own.
        linear_probe: the head is fitted, not trained (`LinearProbeTask`); with `cache_frozen`.
    """

    batch_size: int = 64
    bptt: int = 72
    max_length: int = MAX_LENGTH
    drop_mult: float = 0.5
    activation_penalty: float = 2.0
    temporal_penalty: float = 1.0
    label_smoothing: float = 0.0
    adversarial: float = 0.0
    class_weights: tuple[float, ...] | None = None
    backwards: bool = False
    precision: str = "float32"
    cache_frozen: bool = False
    buckets: tuple[int, ...] | None = None
    linear_probe: bool = False


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
    task = language_model_task(architecture, train, valid, settings, seed, context.devices)
    if parameters is None:
        parameters, _ = task.definition.initialise(seed)
    return _loop(task, stages, seed, context).run(parameters, {})


def train_both_directions(
    architecture: Architecture,
    parameters: tuple[Tree, Tree] | None,
    train: Corpus,
    valid: Corpus | None,
    stages: Sequence[Stage],
    settings: LanguageModelSettings,
    seed: int,
    context: RunContext,
) -> tuple[TrainResult, TrainResult]:
    """Train a forward and a backward language model together (`ulmfit_jax.training.both_directions`); each comes out
    as `train_language_model` makes it, to float tolerance. `settings.backwards` is not looked at.

    Raises:
        DataError, TrainingError: as there.
    """
    tasks = [
        language_model_task(architecture, train, valid, replace(settings, backwards=backwards), seed, context.devices)
        for backwards in (False, True)
    ]
    task = BothDirectionsTask(*tasks)
    if parameters is None:
        fresh, _ = task.definition.initialise(seed)
        parameters = (fresh, fresh)
    result = _loop(task, stages, seed, context).run(paired(*parameters), {})
    forward, backward = (
        TrainResult(of_direction(result.parameters, direction), {}, result.history)
        for direction in range(len(DIRECTIONS))
    )
    return forward, backward


def language_model_task(
    architecture: Architecture,
    train: Corpus,
    valid: Corpus | None,
    settings: LanguageModelSettings,
    seed: int,
    devices: Devices,
) -> LanguageModelTask:
    """A language model's network bound to its documents; `seed` decides their order.

    Raises:
        DataError: the documents are too few for the batch size.
    """
    return LanguageModelTask(
        architecture,
        LanguageModelStream(train, settings.batch_size, settings.bptt, settings.backwards, shuffle=True, seed=seed),
        validation_stream(valid, settings, len(devices)),
        devices,
        drop_mult=settings.drop_mult,
        activation_penalty=settings.activation_penalty,
        temporal_penalty=settings.temporal_penalty,
        reset_state=settings.reset_state,
        dtype=jnp.dtype(settings.precision),
    )


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
    start: Tree | None,
    train: tuple[Corpus, np.ndarray],
    valid: tuple[Corpus, np.ndarray] | None,
    stages: Sequence[Stage],
    settings: ClassifierSettings,
    seed: int,
    context: RunContext,
    statistics: Tree | None = None,
) -> TrainResult:
    """Train a classifier from an encoder, or go on with a trained one.

    Args:
        architecture: sizes of the encoder.
        head: sizes of the head.
        start: branches of the classifier's parameters to start from, `encoder` or all; the others, for None all, are
            drawn from `seed`.
        train: documents and their class indices.
        valid: the same to measure on, or None.
        stages: the fits.
        settings: see `ClassifierSettings`.
        seed: of the head's initial values, dropout and the order of the data.
        context: see `RunContext`.
        statistics: the trained classifier's; None or empty: fresh ones.

    Raises:
        ArtifactError: the shapes of `start` are not those of the architecture.
        TrainingError: a loss was not finite.
    """
    task = classifier_task(architecture, head, train, valid, settings, seed, context.devices, not statistics)
    parameters, fresh = task.definition.initialise(seed)
    parameters, statistics = {**parameters, **(start or {})}, statistics or fresh
    task.definition.check(parameters, statistics, "the encoder")
    return _loop(task, stages, seed, context).run(parameters, statistics)


def classifier_task(
    architecture: Architecture,
    head: Head,
    train: tuple[Corpus, np.ndarray],
    valid: tuple[Corpus, np.ndarray] | None,
    settings: ClassifierSettings,
    seed: int,
    devices: Devices,
    fresh_statistics: bool = True,
) -> ClassifierTask:
    """A classifier's network bound to its documents; `seed` decides their order."""
    kind = LinearProbeTask if settings.linear_probe else ClassifierTask
    return kind(
        architecture,
        head,
        document_batches(train, settings, seed),
        document_batches(valid, settings, seed) if valid is not None else None,
        devices,
        drop_mult=settings.drop_mult,
        activation_penalty=settings.activation_penalty,
        temporal_penalty=settings.temporal_penalty,
        label_smoothing=settings.label_smoothing,
        adversarial=settings.adversarial,
        class_weights=settings.class_weights,
        max_length=settings.max_length,
        cache_frozen=settings.cache_frozen,
        dtype=jnp.dtype(settings.precision),
        fresh_statistics=fresh_statistics,
    )


def document_batches(data: tuple[Corpus, np.ndarray], settings: ClassifierSettings, seed: int) -> DocumentBatches:
    """Documents and their class indices in the batches that a classifier trains on."""
    return DocumentBatches(
        data[0], data[1], settings.batch_size, settings.bptt, settings.backwards, seed, settings.buckets
    )


def _loop(task: Task, stages: Sequence[Stage], seed: int, context: RunContext) -> Loop:
    return Loop(
        task,
        stages,
        context.devices,
        seed=seed,
        folder=context.folder,
        options=context.options,
        progress=context.progress,
    )
