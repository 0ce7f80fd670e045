"""What the training loop asks of a task: the language model and the classifier are the two there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax
from jax import Array, lax

from ulmfit_jax.nn.classifier import DEVICE_AXIS
from ulmfit_jax.nn.parameters import ModuleDefinition, Tree
from ulmfit_jax.optim.groups import LayerGroup, merge_params, split_params
from ulmfit_jax.training.document_scores import Told
from ulmfit_jax.training.mapping import Devices

Batch = tuple[Any, ...]
"""Arrays of one batch, as the task's step takes them."""


class TrainState(NamedTuple):
    """Everything a step changes.

    Attributes:
        parameters: nested dictionary of float32 arrays, the same on all devices.
        statistics: running means of batch normalisation, the same on all devices.
        optimizer: state of the optimiser, the same on all devices.
        carry: what goes from batch to batch, spread over the devices: the language model's recurrent state, else empty.
    """

    parameters: Tree
    statistics: Tree
    optimizer: Any
    carry: Any


class StepControls(NamedTuple):
    """What changes from step to step without being learnt; traced, so that no value of it compiles anything anew.

    Attributes:
        seed: the run's seed, uint32.
        step: number of the step in the run, uint32; dropout draws from (seed, step).
        learning_rates: one per layer group, float32 `[groups]`.
        momentum: Adam's first momentum, float32.
    """

    seed: Array
    step: Array
    learning_rates: Array
    momentum: Array


class StepResult(NamedTuple):
    """What a step reports: cross-entropy without penalties, and the global norm of the trainable gradients."""

    loss: Array
    gradient_norm: Array


class Task(Protocol):
    """A network, its data and its measures, as the loop uses them."""

    definition: ModuleDefinition
    groups: Sequence[LayerGroup]
    columns: tuple[str, ...]
    """Names of the values that `evaluate` gives, in the order of the table."""
    batches_per_epoch: int

    def train_batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """The batches of an epoch from number `start` on; the same for the same epoch, whenever it is asked for."""

    def initial_carry(self) -> Any:
        """What an epoch starts with."""

    def step(
        self,
        optimizer: optax.GradientTransformationExtraArgs,
        trainable: frozenset[str],
        devices: Devices,
        guarded: bool = False,
    ) -> Any:
        """A compiled training step `(TrainState, Batch, StepControls) -> (TrainState, StepResult)`.

        `guarded`: a step whose loss or gradient is not finite changes nothing (see `update`).
        """

    def prepare(self, state: TrainState, told: Told) -> None:
        """What a stage needs before its first batch, after `step` was called; `told` hears how many documents are read
        for it, of how many."""

    def evaluate(self, parameters: Tree, statistics: Tree) -> dict[str, float]:
        """Measures on the validation data by column name; empty where there is none."""


Differentiation = Callable[[Callable[..., tuple[Array, Any]], Tree], tuple[tuple[Array, Any], Tree]]
"""From a loss of the parameters to its value with what it tells besides, and its gradients."""


def value_and_gradients(loss: Callable[..., tuple[Array, Any]], parameters: Tree) -> tuple[tuple[Array, Any], Tree]:
    """The plain `Differentiation`."""
    return jax.value_and_grad(loss, has_aux=True)(parameters)


def update(
    state: TrainState,
    controls: StepControls,
    optimizer: optax.GradientTransformationExtraArgs,
    labels: Tree,
    trainable: frozenset[str],
    loss: Any,
    guarded: bool = False,
    differentiate: Differentiation = value_and_gradients,
) -> tuple[TrainState, StepResult]:
    """One optimiser step, on one device of several: differentiate the trainable parameters alone, average, apply.

    Args:
        state: state before the step.
        controls: the step's number and rates.
        optimizer: transforms gradients of the full tree.
        labels: the group of each parameter.
        trainable: groups that are not frozen; nothing is differentiated for the others.
        loss: `(parameters, key) -> (loss, (cross_entropy, statistics, carry))`.
        guarded: where the loss or the norm of the gradients is not finite, give back the state from before the step.
        differentiate: how gradients come from the loss; what it gives to that beside the parameters, `loss` gets after
            the key.
    """
    key = jax.random.fold_in(jax.random.key(controls.seed), controls.step)
    trained, frozen = split_params(state.parameters, labels, trainable)

    def trained_loss(trained: Tree, *others: Any) -> tuple[Array, Any]:
        return loss(merge_params(trained, frozen), key, *others)

    (_, (cross_entropy, statistics, carry)), gradients = differentiate(trained_loss, trained)
    gradients, cross_entropy = lax.pmean((gradients, cross_entropy), DEVICE_AXIS)
    norm = optax.tree.norm(gradients)
    full = merge_params(gradients, jax.tree.map(jnp.zeros_like, frozen))
    updates, optimizer_state = optimizer.update(
        full,
        state.optimizer,
        state.parameters,
        learning_rates=controls.learning_rates,
        momentum=controls.momentum,
    )
    parameters = optax.apply_updates(state.parameters, updates)
    new_state, result = TrainState(parameters, statistics, optimizer_state, carry), StepResult(cross_entropy, norm)
    return undone_where_not_finite(new_state, state, result) if guarded else new_state, result


def undone_where_not_finite(new: TrainState, old: TrainState, result: StepResult) -> TrainState:
    """The new state; the old one where the loss or the norm of the gradients is not finite."""
    good = jnp.isfinite(result.loss) & jnp.isfinite(result.gradient_norm)
    return jax.tree.map(lambda after, before: jnp.where(good, after, before), new, old)


def row_numbers(local_rows: int) -> Array:
    """Numbers in the global batch of this device's rows, `[local_rows]` int32."""
    return lax.axis_index(DEVICE_AXIS) * local_rows + jnp.arange(local_rows, dtype=jnp.int32)
