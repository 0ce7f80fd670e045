"""The language-model task: next-token prediction over a stream, with the recurrent state carried from batch to
batch."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.typing import DTypeLike

from ulmfit_jax.data.stream import LanguageModelStream
from ulmfit_jax.nn.architecture import LANGUAGE_MODEL_DROPOUTS, Architecture, Dropouts
from ulmfit_jax.nn.awd_lstm import LanguageModelNetwork, Noise, initial_state
from ulmfit_jax.nn.classifier import DEVICE_AXIS
from ulmfit_jax.nn.cudnn import check_backend
from ulmfit_jax.nn.parameters import ModuleDefinition, Tree
from ulmfit_jax.nn.softmax import TokenScores
from ulmfit_jax.optim.groups import LayerGroup, group_labels, layer_groups
from ulmfit_jax.text.rules import BOS_ID
from ulmfit_jax.training.document_scores import Told
from ulmfit_jax.training.mapping import REPLICATED, Devices
from ulmfit_jax.training.task import Batch, StepControls, StepResult, TrainState, row_numbers, update

_LOG = logging.getLogger(__name__)

DocumentEnds = Callable[[jax.Array, jax.Array], jax.Array | None]


def language_model_definition(
    architecture: Architecture, dtype: DTypeLike = jnp.float32, backend: str = "scan"
) -> ModuleDefinition:
    """The network of a language model of these sizes, with products of `dtype`, its layers run by `backend`."""
    return _definition(architecture, np.dtype(dtype), backend)


@functools.lru_cache(32)  # tracing a network takes a noticeable part of a second, and a run asks for it several times
def _definition(architecture: Architecture, dtype: np.dtype, backend: str) -> ModuleDefinition:
    return ModuleDefinition(lambda rngs: LanguageModelNetwork(architecture, dtype=dtype, backend=backend, rngs=rngs))


class LanguageModelTask:
    """Training and evaluation of a language model on token streams."""

    columns: tuple[str, ...] = ("valid_loss", "accuracy", "perplexity")

    def __init__(
        self,
        architecture: Architecture,
        train: LanguageModelStream,
        valid: LanguageModelStream | None,
        devices: Devices,
        *,
        drop_mult: float = 1.0,
        dropouts: Dropouts = LANGUAGE_MODEL_DROPOUTS,
        activation_penalty: float = 2.0,
        temporal_penalty: float = 1.0,
        reset_state: bool = False,
        dtype: DTypeLike = jnp.float32,
        backend: str = "scan",
    ):
        """Bind a network to its data.

        Args:
            architecture: sizes of the network.
            train: stream to train on; its batch size has to divide over the devices.
            valid: stream to measure on after each epoch.
            devices: devices to run on.
            drop_mult: scales all five dropouts; 1 in fastai's `language_model_learner`.
            dropouts: rates; fastai's `awd_lstm_lm_config` by default.
            activation_penalty: AR, 2 in fastai and the paper.
            temporal_penalty: TAR, 1 in both.
            reset_state: start each document from the zero state; False carries the state over, as fastai does.
            dtype: what the operands of matrix products are rounded to (`ulmfit_jax.nn.products`).
            backend: what runs the layers over time, `scan` or `cudnn` (`ulmfit_jax.nn.cudnn`).
        """
        devices.check_batch(train.batch_size)
        check_backend(backend, reset_state)
        if backend == "cudnn":
            _LOG.warning("the LSTM layers are run by cuDNN, their products rounded to TF32, and not by the scan")
        self.architecture = architecture
        self.definition = language_model_definition(architecture, dtype, backend)
        self.groups: Sequence[LayerGroup] = layer_groups(architecture.n_layers, "language_model")
        self._train, self._valid, self._devices = train, valid, devices
        self._dropouts = dropouts.scaled(drop_mult)
        self._penalties = (activation_penalty, temporal_penalty)
        self.batches_per_epoch = train.batches_per_epoch
        self.ends = document_ends(train.backwards) if reset_state else nowhere
        self._scores = evaluation_step(self.definition, devices, self.ends)

    def train_batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """Inputs and targets `[time, devices, batch / devices]` int32."""
        for inputs, targets in self._train.epoch(epoch, start):
            yield self._devices.split_rows(inputs, 1), self._devices.split_rows(targets, 1)

    def initial_carry(self) -> Any:
        """The zero recurrent state, spread over the devices."""
        return zero_carry(self.architecture, self._train.batch_size, self._devices)

    def step(
        self,
        optimizer: optax.GradientTransformationExtraArgs,
        trainable: frozenset[str],
        devices: Devices,
        guarded: bool = False,
    ) -> Any:
        """See `Task.step`."""
        one_step = self.device_step(optimizer, trainable, lambda direction: self.ends, guarded)

        def train_step(
            state: TrainState, inputs: jax.Array, targets: jax.Array, controls: StepControls
        ) -> tuple[TrainState, StepResult]:
            return one_step(state, inputs, targets, controls, None)

        replicated: Any = REPLICATED
        state_axes = TrainState(parameters=replicated, statistics=replicated, optimizer=replicated, carry=0)
        mapped = devices.map(train_step, (state_axes, 1, 1, REPLICATED), (state_axes, REPLICATED), donate=(0,))
        return lambda state, batch, controls: mapped(state, *batch, controls)

    def device_step(
        self,
        optimizer: optax.GradientTransformationExtraArgs,
        trainable: frozenset[str],
        ends_of: Callable[[Any], DocumentEnds],
        guarded: bool = False,
    ) -> Callable[..., tuple[TrainState, StepResult]]:
        """What one device does in a step: `(state, inputs, targets, controls, direction) -> (state, result)`.

        Args:
            optimizer: see `Task.step`, as for `trainable` and `guarded`.
            trainable: groups that are not frozen.
            ends_of: from `direction`, whatever it is, to what finds the ends of documents.
            guarded: whether a step that is not finite leaves the state as it was.
        """
        activation, temporal = self._penalties

        def train_step(
            state: TrainState, inputs: jax.Array, targets: jax.Array, controls: StepControls, direction: Any
        ) -> tuple[TrainState, StepResult]:
            labels = group_labels(state.parameters, self.groups)

            def loss(parameters: Tree, key: jax.Array) -> Any:
                network: LanguageModelNetwork = self.definition.bind(parameters)
                noise = Noise(key, self._dropouts, row_numbers(inputs.shape[1]))
                ends = ends_of(direction)(inputs, targets)
                total, (cross_entropy, carry) = network.loss(
                    inputs, targets, state.carry, noise, activation, temporal, ends
                )
                return total, (cross_entropy, state.statistics, carry)

            return update(state, controls, optimizer, labels, trainable, loss, guarded)

        return train_step

    def prepare(self, state: TrainState, told: Told) -> None:
        """Nothing: a stream needs no preparation."""

    def evaluate(self, parameters: Tree, statistics: Tree) -> dict[str, float]:
        """Loss (mean nats a token), accuracy and perplexity on the validation stream, every token counted once.

        fastai weights its batches by rows, so that a short last batch counts too much; here the mean is over tokens.
        """
        if self._valid is None:
            return {}
        loss, correct, tokens = stream_scores(self._scores, parameters, self._valid, self.architecture, self._devices)
        return {
            "valid_loss": loss / tokens,
            "accuracy": correct / tokens,
            "perplexity": math.exp(min(loss / tokens, 700)),
        }


def zero_carry(architecture: Architecture, batch_size: int, devices: Devices) -> Any:
    """The zero state of `batch_size` rows with the device axis first."""
    state = initial_state(architecture, batch_size)
    return devices.scatter(jax.tree.map(lambda array: devices.split_rows(np.asarray(array), 0), state))


def document_ends(backwards: bool) -> DocumentEnds:
    """What finds the last tokens of documents in a batch of a stream: `(inputs, targets) -> bool`, all
    `[time, batch]`.

    A document begins with `xxbos`: the token before it ends the document before. Read backwards, `xxbos` itself comes
    last.
    """
    if backwards:
        return lambda inputs, targets: inputs == BOS_ID
    return lambda inputs, targets: targets == BOS_ID


def nowhere(inputs: jax.Array, targets: jax.Array) -> None:
    """The `DocumentEnds` of a state that is carried from document to document."""
    return None


def evaluation_step(definition: ModuleDefinition, devices: Devices, ends: DocumentEnds = nowhere) -> Any:
    """`(parameters, inputs, targets, carry) -> (TokenScores, carry)`, mapped over devices, sums over all of them.

    The state becomes zero where `ends` finds a document's last token, by default nowhere.
    """

    def scores(parameters: Tree, inputs: jax.Array, targets: jax.Array, carry: Any) -> Any:
        totals, carry = definition.bind(parameters).scores(inputs, targets, carry, ends(inputs, targets))
        return lax.psum(totals, DEVICE_AXIS), carry

    return devices.map(scores, (REPLICATED, 1, 1, 0), (REPLICATED, 0), donate=(3,))


def stream_scores(
    step: Any, parameters: Tree, stream: LanguageModelStream, architecture: Architecture, devices: Devices
) -> tuple[float, float, int]:
    """Run an `evaluation_step` over a stream: summed loss in nats, right predictions, tokens.

    Two steps are under way at a time. With more than 32, devices that share a CPU wait for each other for ever: the
    threads that should run the oldest step's reduction hold back newer steps instead.
    """
    carry = zero_carry(architecture, stream.batch_size, devices)
    sums = np.zeros(3)
    pending: TokenScores | None = None
    for inputs, targets in stream.epoch(0):
        scores, carry = step(parameters, devices.split_rows(inputs, 1), devices.split_rows(targets, 1), carry)
        if pending is not None:
            sums += np.array(pending, np.float64)
        pending = scores
    if pending is not None:
        sums += np.array(pending, np.float64)
    return float(sums[0]), float(sums[1]), int(sums[2])
