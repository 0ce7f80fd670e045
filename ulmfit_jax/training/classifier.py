"""The classification task: whole documents in length buckets, with the state carried over a document's chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.typing import DTypeLike

from ulmfit_jax.data.batches import DocumentBatch, DocumentBatches
from ulmfit_jax.nn.architecture import CLASSIFIER_DROPOUTS, Architecture, Dropouts
from ulmfit_jax.nn.awd_lstm import Noise
from ulmfit_jax.nn.classifier import DEVICE_AXIS, ClassifierNetwork, Head
from ulmfit_jax.nn.documents import MAX_LENGTH
from ulmfit_jax.nn.parameters import ModuleDefinition, Tree
from ulmfit_jax.optim.groups import LayerGroup, group_labels, layer_groups
from ulmfit_jax.training.mapping import REPLICATED, Devices
from ulmfit_jax.training.task import Batch, StepControls, StepResult, TrainState, row_numbers, update


def classifier_definition(architecture: Architecture, head: Head, dtype: DTypeLike = jnp.float32) -> ModuleDefinition:
    """The network of a classifier of these sizes, with products of `dtype`."""
    return ModuleDefinition(lambda rngs: ClassifierNetwork(architecture, head, dtype=dtype, rngs=rngs))


class ClassifierTask:
    """Training and evaluation of a document classifier."""

    columns: tuple[str, ...] = ("valid_loss", "error_rate")

    def __init__(
        self,
        architecture: Architecture,
        head: Head,
        train: DocumentBatches,
        valid: DocumentBatches | None,
        devices: Devices,
        *,
        drop_mult: float = 0.5,
        dropouts: Dropouts = CLASSIFIER_DROPOUTS,
        activation_penalty: float = 2.0,
        temporal_penalty: float = 1.0,
        label_smoothing: float = 0.0,
        max_length: int = MAX_LENGTH,
        dtype: DTypeLike = jnp.float32,
    ):
        """Bind a network to its data.

        Args:
            architecture: sizes of the encoder.
            head: sizes of the head.
            train: labelled documents; the batch size has to divide over the devices.
            valid: labelled documents to measure on after each epoch.
            devices: devices to run on.
            drop_mult: scales the five dropouts; 0.5 in fastai's `text_classifier_learner`.
            dropouts: rates; fastai's `awd_lstm_clas_config` by default.
            activation_penalty: AR, 2 in fastai.
            temporal_penalty: TAR, 1 in fastai.
            label_smoothing: see `ClassifierNetwork.loss`.
            max_length: tokens at a document's end that are pooled; 1,440 in fastai (`max_len`).
            dtype: what the operands of matrix products are rounded to (`ulmfit_jax.nn.products`).
        """
        devices.check_batch(train.batch_size)
        self.architecture, self.head = architecture, head
        self.definition = classifier_definition(architecture, head, dtype)
        self.groups: Sequence[LayerGroup] = layer_groups(architecture.n_layers, "classifier")
        self._train, self._valid, self._devices = train, valid, devices
        self._dropouts = dropouts.scaled(drop_mult)
        self._loss_options: dict[str, Any] = {
            "max_length": max_length,
            "activation_penalty": activation_penalty,
            "temporal_penalty": temporal_penalty,
            "label_smoothing": label_smoothing,
        }
        self.batches_per_epoch = train.batches_per_epoch
        self._scores = scoring_step(self.definition, devices, max_length)

    def train_batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """Tokens `[chunks, bptt, devices, rows]`, lengths and labels `[devices, rows]`, all int32."""
        for batch in self._train.training_epoch(epoch, start):
            yield (*split_documents(batch, self._devices), self._devices.split_rows(batch.labels, 0))

    def initial_carry(self) -> Any:
        """Nothing: documents start afresh."""
        return ()

    def step(
        self,
        optimizer: optax.GradientTransformationExtraArgs,
        trainable: frozenset[str],
        devices: Devices,
        guarded: bool = False,
    ) -> Any:
        """See `Task.step`."""

        def train_step(
            state: TrainState, tokens: jax.Array, lengths: jax.Array, labels: jax.Array, controls: StepControls
        ) -> tuple[TrainState, StepResult]:
            groups = group_labels(state.parameters, self.groups)

            def loss(parameters: Tree, key: jax.Array) -> Any:
                network: ClassifierNetwork = self.definition.bind(parameters, state.statistics)
                noise = Noise(key, self._dropouts, row_numbers(lengths.shape[0]))
                total, cross_entropy = network.loss(
                    tokens, lengths, labels, noise, axis_name=DEVICE_AXIS, **self._loss_options
                )
                return total, (cross_entropy, self.definition.statistics_of(network), ())

            return update(state, controls, optimizer, groups, trainable, loss, guarded)

        mapped = devices.map(train_step, (REPLICATED, 2, 0, 0, REPLICATED), (REPLICATED, REPLICATED), donate=(0,))
        return lambda state, batch, controls: mapped(state, *batch, controls)

    def evaluate(self, parameters: Tree, statistics: Tree) -> dict[str, float]:
        """Mean cross-entropy and error rate over the validation documents."""
        if self._valid is None:
            return {}
        log_probabilities = document_log_probabilities(
            self._scores, parameters, statistics, self._valid, self.head.n_classes, self._devices
        )
        labels = np.asarray(self._valid.labels)
        losses = -log_probabilities[np.arange(len(labels)), labels]
        wrong = log_probabilities.argmax(axis=1) != labels
        return {"valid_loss": float(losses.mean()), "error_rate": float(wrong.mean())}


def split_documents(batch: DocumentBatch, devices: Devices) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and lengths of a batch with the device axis in: `[chunks, bptt, devices, rows]`, `[devices, rows]`."""
    return devices.split_rows(batch.tokens, 2), devices.split_rows(batch.lengths, 0)


def scoring_step(definition: ModuleDefinition, devices: Devices, max_length: int) -> Any:
    """`(parameters, statistics, tokens, lengths) -> log probabilities [devices, rows, classes]`, mapped over the
    devices; every process gets the rows of all."""

    def scores(parameters: Tree, statistics: Tree, tokens: jax.Array, lengths: jax.Array) -> jax.Array:
        network = definition.bind(parameters, statistics)
        own = jax.nn.log_softmax(network.scores(tokens, lengths, max_length))
        return lax.all_gather(own, DEVICE_AXIS)

    return devices.map(scores, (REPLICATED, REPLICATED, 2, 0), REPLICATED)


def document_log_probabilities(
    step: Any, parameters: Tree, statistics: Tree, documents: DocumentBatches, n_classes: int, devices: Devices
) -> np.ndarray:
    """Log probabilities `[documents, classes]` float32 in the order of the corpus, from a `scoring_step`."""
    result = np.full((len(documents.corpus), n_classes), np.nan, np.float32)
    pending: list[tuple[np.ndarray, Any]] = []
    for batch in documents.evaluation():
        pending.append((batch.documents, step(parameters, statistics, *split_documents(batch, devices))))
        if len(pending) > 2:
            _collect(result, *pending.pop(0))
    for item in pending:
        _collect(result, *item)
    return result


def _collect(result: np.ndarray, documents: np.ndarray, scores: Any) -> None:
    rows = Devices.join_rows(np.asarray(scores), 0)
    true_rows = documents >= 0
    result[documents[true_rows]] = rows[true_rows]
