"""Non-monotonically triggered averaged SGD, NT-ASGD (Merity et al. 2017, arXiv 1708.02182, section 3).

Plain SGD at a constant rate, until the validation loss has stopped falling; from then on the weights of every step go
into a running mean, and it is the mean that is evaluated and saved, while the training goes on from the raw weights.
The AWD-LSTM language models were trained with it; ULMFiT took Adam instead.

    transform = nt_asgd()
    state = transform.init(params)
    trigger = NonMonotonicTrigger()
    for each epoch:
        for each batch:
            updates, state = transform.update(gradients, state, params, learning_rate=30.0)
            params = optax.apply_updates(params, updates)
        trigger = trigger.observe(validation loss of averaged_params(state, params))
        if trigger.fired:
            state = start_averaging(state)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from ulmfit_jax.errors import ConfigError, TrainingError
from ulmfit_jax.optim.clipping import check_max_norm, clipping_scale


class AveragedState(NamedTuple):
    """What NT-ASGD remembers.

    Attributes:
        averaging: whether the switch has been made, bool `[]`.
        averaged: steps in the mean, int32 `[]`.
        mean: mean of the parameters after each step since the switch, float32, the parameters' tree; zeros before it.
    """

    averaging: Array
    averaged: Array
    mean: Any


def nt_asgd(weight_decay: float = 1.2e-6, max_norm: float | None = 0.25) -> optax.GradientTransformationExtraArgs:
    """SGD that averages its iterates once `start_averaging` has been called on its state.

    A step is p <- p - lr * (clip(g) + weight_decay * p), as in the AWD-LSTM code: the penalty is coupled, and added
    after the clipping.

    Args:
        weight_decay: L2 penalty on all parameters; 1.2e-6 in the AWD-LSTM code.
        max_norm: global norm that gradients are scaled down to, None for never; 0.25 in the AWD-LSTM code.

    Returns:
        A transformation with `update(gradients, state, params, *, learning_rate)`; the rate is a traced scalar, 30 in
        the AWD-LSTM code.

    Raises:
        ConfigError: a norm that is not positive.
    """
    check_max_norm(max_norm)

    def init(params: Any) -> AveragedState:
        zeros = jax.tree.map(lambda p: jnp.zeros(p.shape, jnp.float32), params)
        return AveragedState(jnp.zeros([], jnp.bool_), jnp.zeros([], jnp.int32), zeros)

    def update(
        gradients: Any, state: AveragedState, params: Any = None, *, learning_rate: Array | float, **extra: Any
    ) -> tuple[Any, AveragedState]:
        del extra
        if params is None:
            raise ValueError(
                "the mean of the iterates needs the parameters: call update(gradients, state, params, ...)"
            )
        rate = jnp.asarray(learning_rate, jnp.float32)
        scale = jnp.float32(1.0) if max_norm is None else clipping_scale(gradients, max_norm)
        updates = jax.tree.map(lambda p, g: -rate * (scale * g + weight_decay * p), params, gradients)
        return updates, _averaged(state, optax.apply_updates(params, updates))

    return optax.GradientTransformationExtraArgs(init, update)


def _averaged(state: AveragedState, params: Any) -> AveragedState:
    averaged = state.averaged + state.averaging.astype(jnp.int32)
    share = jnp.where(state.averaging, 1.0 / jnp.maximum(averaged, 1).astype(jnp.float32), 0.0)
    mean = jax.tree.map(lambda m, p: m + share * (p - m), state.mean, params)
    return AveragedState(state.averaging, averaged, mean)


def start_averaging(state: AveragedState) -> AveragedState:
    """The state from which on every step goes into the mean; a state that averages already stays as it is.

    The first iterate counts, where `torch.optim.ASGD` overwrites it with the second.
    """
    return state._replace(averaging=jnp.ones([], jnp.bool_))


def averaged_params(state: AveragedState, params: Any) -> Any:
    """The parameters to evaluate and to save: the mean of the iterates, or `params` while nothing is averaged yet."""
    return jax.tree.map(lambda m, p: jnp.where(state.averaged > 0, m, p), state.mean, params)


@dataclass(frozen=True)
class NonMonotonicTrigger:
    """Watches the validation loss on the host and says when to start averaging.

    It fires at the first epoch whose loss is worse than the best loss of more than `nonmono` epochs before, and stays
    fired. Immutable, and plain numbers throughout, so that it goes into a checkpoint's JSON.

    Attributes:
        nonmono: how many recent epochs do not count for the best loss; 5 in the AWD-LSTM code.
        losses: validation losses so far, one for each epoch.
        fired: whether the averaging is to run.
    """

    nonmono: int = 5
    losses: tuple[float, ...] = ()
    fired: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "losses", tuple(self.losses))  # JSON gives them back as a list
        if self.nonmono < 1:
            raise ConfigError(f"nonmono is {self.nonmono}: give the number of recent epochs to leave out, 1 or more")

    def observe(self, loss: float) -> NonMonotonicTrigger:
        """The trigger after one more epoch with this validation loss.

        Raises:
            TrainingError: a loss that is not a finite number, which no later loss could be compared with.
        """
        if not math.isfinite(loss):
            raise TrainingError(f"the validation loss of epoch {len(self.losses)} is {loss}: lower the learning rate")
        earlier = self.losses[: -self.nonmono]
        fired = self.fired or (bool(earlier) and loss > min(earlier))
        return NonMonotonicTrigger(self.nonmono, (*self.losses, float(loss)), fired)
