"""The classification task: whole documents in length buckets, with the state carried over a document's chunks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import DTypeLike

from ulmfit_jax.data.batches import DocumentBatches
from ulmfit_jax.nn.architecture import CLASSIFIER_DROPOUTS, Architecture, Dropouts
from ulmfit_jax.nn.awd_lstm import Noise
from ulmfit_jax.nn.batch_norm import running_statistics
from ulmfit_jax.nn.classifier import DEVICE_AXIS, ClassifierNetwork, Head
from ulmfit_jax.nn.documents import MAX_LENGTH, pooled_chunks
from ulmfit_jax.nn.parameters import ModuleDefinition, Tree
from ulmfit_jax.optim.groups import LayerGroup, group_labels, layer_groups
from ulmfit_jax.training.adversarial import token_norms, with_adversarial_examples
from ulmfit_jax.training.document_scores import Reading, Told, scoring_pass, split_documents
from ulmfit_jax.training.frozen_features import FrozenFeatures
from ulmfit_jax.training.label_measures import label_measures
from ulmfit_jax.training.mapping import REPLICATED, Devices
from ulmfit_jax.training.task import (
    Batch,
    Differentiation,
    StepControls,
    TrainState,
    row_numbers,
    update,
    value_and_gradients,
)


def classifier_definition(architecture: Architecture, head: Head, dtype: DTypeLike = jnp.float32) -> ModuleDefinition:
    """The network of a classifier of these sizes, with products of `dtype`."""
    return _definition(architecture, head, np.dtype(dtype))


@functools.lru_cache(32)
def _definition(architecture: Architecture, head: Head, dtype: np.dtype) -> ModuleDefinition:
    return ModuleDefinition(lambda rngs: ClassifierNetwork(architecture, head, dtype=dtype, rngs=rngs))


class ClassifierTask:
    """Training and evaluation of a document classifier."""

    columns: tuple[str, ...]

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
        adversarial: float = 0.0,
        class_weights: Sequence[float] | None = None,
        max_length: int = MAX_LENGTH,
        cache_frozen: bool = False,
        dtype: DTypeLike = jnp.float32,
        fresh_statistics: bool = True,
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
            adversarial: see `ClassifierSettings`; in stages that train the embedding.
            class_weights: see there; measures on `valid` weigh nothing.
            max_length: tokens at a document's end that are pooled; 1,440 in fastai (`max_len`).
            cache_frozen: while the head trains alone, compute the documents' vectors once, with the encoder's dropout
                off, and train on these.
            dtype: what the operands of matrix products are rounded to (`ulmfit_jax.nn.products`).
            fresh_statistics: the run begins with those of no other, and they are corrected for it
                (`nn.batch_norm.running_statistics`); false: with a trained classifier's.
        """
        devices.check_batch(train.batch_size)
        self.architecture, self.head = architecture, head
        self.columns = ("valid_loss", "error_rate", *(["micro_f1"] if head.multi_label else []))
        self.definition = classifier_definition(architecture, head, dtype)
        self.groups: Sequence[LayerGroup] = layer_groups(architecture.n_layers, "classifier")
        self._train, self._valid, self._devices = train, valid, devices
        self._dropouts, self._fresh_statistics = dropouts.scaled(drop_mult), fresh_statistics
        self._loss_options: dict[str, Any] = {
            "max_length": max_length,
            "label_smoothing": label_smoothing,
            "class_weights": class_weights,
        }
        self._penalties: dict[str, Any] = {
            "activation_penalty": activation_penalty,
            "temporal_penalty": temporal_penalty,
        }
        self._adversarial = adversarial
        self.batches_per_epoch = train.batches_per_epoch
        reading = Reading(train.bptt, max_length, train.backwards)
        self.scoring = scoring_pass(self.definition, architecture, head, devices, reading)
        self._frozen: FrozenFeatures | None = None
        if cache_frozen:
            self._frozen = FrozenFeatures(architecture, self.definition, devices, reading, dtype, head)
        self._head_alone = False

    def train_batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """Tokens `[chunks, bptt, devices, rows]`, then lengths, labels and numbers of documents `[devices, rows]`."""
        for batch in self._train.training_epoch(epoch, start):
            labels, documents = (self._devices.split_rows(rows, 0) for rows in (batch.labels, batch.documents))
            yield (*split_documents(batch, self._devices), labels, documents)

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
        self._head_alone = trainable == {self.groups[-1].name}
        if self._frozen is not None:
            self._frozen.forget()
            if self._head_alone:
                return self._step_on_vectors(self._frozen, optimizer, trainable, devices, guarded)

        def loss(
            network: ClassifierNetwork,
            inputs: Any,
            labels: jax.Array,
            noise: Noise,
            perturbation: jax.Array | None = None,
            penalties: float = 1.0,
        ) -> Any:
            tokens, lengths = inputs
            own = {name: penalties * value for name, value in self._penalties.items()}
            return network.loss(
                tokens,
                lengths,
                labels,
                noise,
                axis_name=DEVICE_AXIS,
                perturbation=perturbation,
                **own,
                **self._loss_options,
            )

        gradients = self._adversarial_gradients if self._adversarial and self.groups[0].name in trainable else None
        mapped = self._mapped(loss, (2, 0), optimizer, trainable, devices, guarded, gradients)
        return lambda state, batch, controls: mapped(state, batch[:2], batch[2], controls)

    def _adversarial_gradients(self, state: TrainState, inputs: Any) -> Differentiation:
        """How a step learns from its documents and from their adversarial examples."""
        tokens, lengths = inputs
        chunks, bptt, batch = tokens.shape
        embedding = state.parameters["encoder"]["embedding"]
        shape = (pooled_chunks(chunks, bptt, self._loss_options["max_length"]), bptt, batch, embedding.shape[1])
        reach = self._adversarial * token_norms(embedding, tokens, lengths)
        return functools.partial(with_adversarial_examples, shape=shape, reach=reach)

    def _step_on_vectors(
        self,
        frozen: FrozenFeatures,
        optimizer: optax.GradientTransformationExtraArgs,
        trainable: frozenset[str],
        devices: Devices,
        guarded: bool,
    ) -> Any:
        """The step of a stage that trains the head alone, on the vectors of `prepare`."""

        smoothing, weights = self._loss_options["label_smoothing"], self._loss_options["class_weights"]

        def loss(network: ClassifierNetwork, inputs: Any, labels: jax.Array, noise: Noise) -> Any:
            vectors, lengths = inputs
            cross_entropy = network.head_loss(vectors, lengths > 0, labels, noise, smoothing, weights, DEVICE_AXIS)
            return cross_entropy, cross_entropy

        mapped = self._mapped(loss, (0, 0), optimizer, trainable, devices, guarded)

        def step(state: TrainState, batch: Batch, controls: StepControls) -> Any:
            _, lengths, labels, documents = batch
            vectors = frozen.of(self._train, state.parameters, state.statistics)
            return mapped(state, (vectors[documents], lengths), labels, controls)

        return step

    def prepare(self, state: TrainState, told: Told) -> None:
        """Read the documents once, if that is all the encoder does in this stage."""
        if self._frozen is not None and self._head_alone:
            for documents in (self._train, self._valid):
                if documents is not None:
                    self._frozen.of(documents, state.parameters, state.statistics, told)

    def _mapped(
        self,
        loss_of: Any,
        axes: tuple[int, int],
        optimizer: optax.GradientTransformationExtraArgs,
        trainable: frozenset[str],
        devices: Devices,
        guarded: bool,
        gradients: Callable[[TrainState, Any], Differentiation] | None = None,
    ) -> Any:
        """`(state, inputs, labels, controls) -> (state, result)` over devices.

        Args:
            loss_of: `(network, inputs, labels, noise) -> (loss, cross_entropy)`.
            axes: the device axes of the two arrays of `inputs`.
            optimizer: see `update`, as for the others.
            trainable: groups that are not frozen.
            devices: devices to map over.
            guarded: whether a step that is not finite leaves the state as it was.
            gradients: `(state, inputs)` to how they come from the loss; what that gets besides, `loss_of` gets last.
        """

        def train_step(state: TrainState, inputs: Any, labels: jax.Array, controls: StepControls) -> Any:
            groups = group_labels(state.parameters, self.groups)

            def loss(parameters: Tree, key: jax.Array, *others: Any) -> Any:
                network: ClassifierNetwork = self.definition.bind(parameters, state.statistics)
                noise = Noise(key, self._dropouts, row_numbers(labels.shape[0]))
                total, cross_entropy = loss_of(network, inputs, labels, noise, *others)
                batch = self.definition.statistics_of(network)
                step = controls.step if self._fresh_statistics else None
                return total, (cross_entropy, running_statistics(state.statistics, batch, step), ())

            differentiate = gradients(state, inputs) if gradients else value_and_gradients
            return update(state, controls, optimizer, groups, trainable, loss, guarded, differentiate)

        return devices.map(train_step, (REPLICATED, axes, 0, REPLICATED), (REPLICATED, REPLICATED), donate=(0,))

    def evaluate(self, parameters: Tree, statistics: Tree) -> dict[str, float]:
        """Mean cross-entropy and error rate over the validation documents; of several labels, see `label_measures`."""
        if self._valid is None:
            return {}
        log_probabilities = self._valid_log_probabilities(self._valid, parameters, statistics)
        return self.measures(log_probabilities, np.asarray(self._valid.labels))

    def measures(self, log_probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """The same of documents' log probabilities `[documents, classes]` and labels."""
        if self.head.multi_label:
            return label_measures(log_probabilities, labels)
        losses = -log_probabilities[np.arange(len(labels)), labels]
        wrong = log_probabilities.argmax(axis=1) != labels
        return {"valid_loss": float(losses.mean()), "error_rate": float(wrong.mean())}

    def _valid_log_probabilities(self, valid: DocumentBatches, parameters: Tree, statistics: Tree) -> np.ndarray:
        if self._frozen is not None and self._head_alone:
            return self._frozen.log_probabilities(valid, parameters, statistics)
        return self.scoring(parameters, statistics, valid.corpus)
