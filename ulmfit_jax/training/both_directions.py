"""A forward and a backward language model trained together, in one program.

Both read the same documents, one from their beginnings and one from their ends, and have parameters, optimiser and
recurrent state of their own: nothing passes between them. On an accelerator the recurrence waits for its own steps, 72
in a row for each layer, and not for arithmetic; two models at once fill what is idle.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ulmfit_jax.nn.parameters import Tree
from ulmfit_jax.optim.groups import LayerGroup
from ulmfit_jax.training.document_scores import Told
from ulmfit_jax.training.language_model import LanguageModelTask
from ulmfit_jax.training.mapping import REPLICATED, Devices
from ulmfit_jax.training.task import Batch, StepControls, StepResult, TrainState, undone_where_not_finite

DIRECTIONS = ("forward", "backward")


def paired(forward: Tree, backward: Tree) -> Tree:
    """Two trees of the same form as one whose arrays have the direction as first axis."""
    return jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), forward, backward)


def of_direction(tree: Tree, direction: int) -> Tree:
    """The half of a paired tree: 0 the forward one, 1 the backward one."""
    return jax.tree.map(lambda leaf: leaf[direction], tree)


class BothDirectionsTask:
    """Two language models of the same sizes as one task: its parameters are `paired`, its losses their means."""

    columns: tuple[str, ...] = ("valid_loss", "perplexity", "perplexity_backward")

    def __init__(self, forward: LanguageModelTask, backward: LanguageModelTask):
        """Join two tasks over the same documents, with the same settings but for the direction."""
        self._tasks = (forward, backward)
        self.definition = forward.definition
        self.groups: Sequence[LayerGroup] = forward.groups
        self.batches_per_epoch = forward.batches_per_epoch

    def train_batches(self, epoch: int, start: int) -> Iterator[Batch]:
        """Inputs and targets `[2, time, devices, batch / devices]` int32."""
        batches = (task.train_batches(epoch, start) for task in self._tasks)
        for forward, backward in zip(*batches, strict=True):
            yield tuple(np.stack(arrays) for arrays in zip(forward, backward, strict=True))

    def initial_carry(self) -> Any:
        """The zero states of both, `[devices, batch / devices, 2, features]`: rows first, as a run is saved."""
        return jax.tree.map(lambda *arrays: jnp.stack(arrays, axis=2), *(task.initial_carry() for task in self._tasks))

    def step(
        self,
        optimizer: optax.GradientTransformationExtraArgs,
        trainable: frozenset[str],
        devices: Devices,
        guarded: bool = False,
    ) -> Any:
        """See `Task.step`; a guarded step that is not finite in one direction is undone in both."""
        one_step = self._tasks[0].device_step(optimizer, trainable, self._ends)

        def train_step(
            state: TrainState, inputs: jax.Array, targets: jax.Array, controls: StepControls
        ) -> tuple[TrainState, StepResult]:
            axes = jax.tree.map(lambda leaf: 0 if jnp.ndim(leaf) else None, state)  # Adam's count of steps is one
            axes = axes._replace(carry=jax.tree.map(lambda _: 1, state.carry))
            both = jax.vmap(one_step, (axes, 0, 0, None, 0), (axes, 0))
            new_state, results = both(state, inputs, targets, controls, jnp.arange(2, dtype=jnp.int32))
            result = StepResult(results.loss.mean(), results.gradient_norm.max())
            return undone_where_not_finite(new_state, state, result) if guarded else new_state, result

        replicated: Any = REPLICATED
        state_axes = TrainState(parameters=replicated, statistics=replicated, optimizer=replicated, carry=0)
        mapped = devices.map(train_step, (state_axes, 2, 2, REPLICATED), (state_axes, REPLICATED), donate=(0,))
        return lambda state, batch, controls: mapped(state, *batch, controls)

    def _ends(self, direction: jax.Array) -> Any:
        forward, backward = (task.ends for task in self._tasks)

        def ends(inputs: jax.Array, targets: jax.Array) -> jax.Array | None:
            ends_forward, ends_backward = forward(inputs, targets), backward(inputs, targets)
            if ends_forward is None or ends_backward is None:
                return None
            return jnp.where(direction == 0, ends_forward, ends_backward)

        return ends

    def prepare(self, state: TrainState, told: Told) -> None:
        """Nothing: a stream needs no preparation."""

    def evaluate(self, parameters: Tree, statistics: Tree) -> dict[str, float]:
        """The mean of both validation losses, and each perplexity."""
        measures = [task.evaluate(of_direction(parameters, i), statistics) for i, task in enumerate(self._tasks)]
        if not all(measures):
            return {}
        losses = [measure["valid_loss"] for measure in measures]
        return {
            "valid_loss": sum(losses) / 2,
            "perplexity": measures[0]["perplexity"],
            "perplexity_backward": measures[1]["perplexity"],
        }
