"""This package's side of each stage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from data import BATCH_SIZE, BPTT, batches, full_size, reviews, stream
from timing import Work
from ulmfit_jax import LanguageModel
from ulmfit_jax.artifact import Artifact
from ulmfit_jax.data import corpus_in_memory
from ulmfit_jax.inference.predict import Predictor
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.parameters import to_numpy
from ulmfit_jax.optim.groups import discriminative_rates
from ulmfit_jax.pretrained import model_folder
from ulmfit_jax.text import load_tokenizer
from ulmfit_jax.training.classifier import ClassifierTask, classifier_definition
from ulmfit_jax.training.language_model import LanguageModelTask
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.stage_optimizer import StageOptimizer
from ulmfit_jax.training.stages import Stage
from ulmfit_jax.training.task import StepControls, TrainState


def tokenisation(data_dir: Path, count: int) -> Work:
    """Documents to ids on two processes, by the shipped tokeniser, which has no word in its memory yet."""
    texts, _ = reviews(data_dir, count)
    folder = model_folder("wikipedia-small-forward")

    def work() -> float:
        return len(corpus_in_memory(texts, load_tokenizer(folder), workers=2))

    return work


def language_model(vocabulary: int, steps: int, batch_size: int = BATCH_SIZE, bptt: int = BPTT) -> Work:
    """Training steps with all dropouts, AR and TAR, gradients of everything, Adam."""
    devices = Devices(1)
    task = LanguageModelTask(full_size(vocabulary), stream(vocabulary, steps, batch_size, bptt), None, devices)
    return _epoch(task, Stage("all", 1, 1e-3, weight_decay=0.1), devices, batch_size * bptt * steps)


def classifier(data_dir: Path, count: int, freeze_to: int, cache_frozen: bool = False) -> Work:
    """An epoch of training over these reviews; with `cache_frozen`, from the second on it finds their vectors."""
    devices, (train, vocabulary) = Devices(1), batches(data_dir, count)
    task = ClassifierTask(full_size(vocabulary), Head(2), train, None, devices, cache_frozen=cache_frozen)
    return _epoch(task, Stage("some", 1, 1e-3, freeze_to), devices, train.batches_per_epoch * BATCH_SIZE)


def prediction(data_dir: Path, count: int) -> Work:
    """Probabilities of these reviews."""
    documents, vocabulary = batches(data_dir, count)
    sizes, head = full_size(vocabulary), Head(2)
    parameters, statistics = map(to_numpy, classifier_definition(sizes, head).initialise(0))
    tokenizer = LanguageModel("wikipedia-small-forward").tokenizer
    model = Artifact("classifier", sizes, tokenizer, parameters, statistics, ("neg", "pos"), head)
    predictor = Predictor(model, Devices(1))

    def work() -> float:
        return len(predictor.log_probabilities(documents.corpus))

    return work


def _epoch(task: Any, stage: Stage, devices: Devices, units: float) -> Work:
    """An epoch of a task as the training loop runs it: a loss is read while the next step is under way."""
    parameters, statistics = task.definition.initialise(0)
    optimizer = StageOptimizer(stage, parameters, task.groups)
    step = task.step(optimizer.transform, optimizer.trainable, devices)
    opened = optimizer.transform.init(parameters)
    held = [
        TrainState(
            devices.replicate(parameters),
            devices.replicate(statistics),
            devices.replicate(opened),
            task.initial_carry(),
        )
    ]
    rates: Sequence[float] = discriminative_rates(stage.learning_rate, len(task.groups))

    def work() -> float:
        state, pending = held.pop(), None
        for number, batch in enumerate(task.train_batches(0, 0)):
            controls = StepControls(
                jnp.uint32(0), jnp.uint32(number), jnp.asarray(np.array(rates), jnp.float32), jnp.float32(0.8)
            )
            state, result = step(state, batch, controls)
            if pending is not None:
                float(pending.loss)
            pending = result
        if pending is not None:
            float(pending.loss)
        held.append(state)
        return units

    return work
