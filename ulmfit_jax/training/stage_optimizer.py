"""The optimiser of a stage behind one interface: layer-wise Adam, averaged SGD with its trigger, or none, where the
task solves for the head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import optax
from jax import Array

from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.parameters import Tree
from ulmfit_jax.optim.groups import LayerGroup, freeze_to
from ulmfit_jax.optim.nt_asgd import NonMonotonicTrigger, averaged_params, nt_asgd, start_averaging
from ulmfit_jax.optim.optimizer import layerwise_adam
from ulmfit_jax.training.stages import Stage
from ulmfit_jax.training.task import TrainState


class StageOptimizer:
    """What a stage updates its parameters with.

    Attributes:
        trainable: names of the layer groups that train.
        transform: its `update` takes `learning_rates` `[groups]` and `momentum`, both traced.
    """

    def __init__(self, stage: Stage, parameters: Tree, groups: Sequence[LayerGroup]):
        """Make the optimiser of `stage` for parameters of this structure.

        Raises:
            ConfigError: averaged SGD with frozen groups or with different rates.
        """
        self._averages = stage.optimizer == "nt_asgd"
        self.trainable = freeze_to(groups, stage.freeze_to)
        self.transform: optax.GradientTransformationExtraArgs
        if self._averages:
            if len(self.trainable) < len(groups) or isinstance(stage.learning_rate, tuple):
                raise ConfigError(f"stage {stage.name}: nt_asgd trains all layer groups at one rate")
            self.transform = _at_one_rate(nt_asgd(stage.weight_decay, stage.max_norm))
        elif stage.is_fitted:
            self.transform = optax.with_extra_args_support(optax.identity())
        else:
            self.transform = layerwise_adam(parameters, groups, self.trainable, stage.weight_decay, stage.max_norm)

    def evaluated(self, state: TrainState) -> Tree:
        """The parameters to measure and to keep: the mean of the iterates once averaged SGD averages."""
        return averaged_params(state.optimizer, state.parameters) if self._averages else state.parameters

    def after_epoch(self, state: TrainState, losses: Sequence[float]) -> TrainState:
        """The state to go on with after an epoch; `losses` are the stage's validation losses so far."""
        if not self._averages:
            return state
        trigger = NonMonotonicTrigger()
        for loss in losses:
            trigger = trigger.observe(loss)
        return state._replace(optimizer=start_averaging(state.optimizer)) if trigger.fired else state


def _at_one_rate(sgd: optax.GradientTransformationExtraArgs) -> optax.GradientTransformationExtraArgs:
    """SGD as the training step calls it: the groups' rates are all the same, and there is no momentum."""

    def update(
        gradients: Any, state: Any, params: Any = None, *, learning_rates: Array, **extra: Any
    ) -> tuple[Any, Any]:
        del extra
        return sgd.update(gradients, state, params, learning_rate=jnp.asarray(learning_rates)[0])

    return optax.GradientTransformationExtraArgs(sgd.init, update)
