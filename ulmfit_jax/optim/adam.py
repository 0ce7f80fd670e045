"""Adam as fastai computes it, as an Optax transformation whose learning rate and momentum are arguments of each update.

It differs from Optax's `adamw` in its defaults (squared momentum 0.99, eps 1e-5), in which parameters are decayed, and
in that both hyperparameters may change at every step without a new compilation and without `inject_hyperparams`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from ulmfit_jax.optim.groups import path_name


class AdamState(NamedTuple):
    """What Adam remembers.

    Attributes:
        steps: steps taken, int32 `[]`.
        mean: running mean of the gradients, float32, the parameters' tree.
        square: running mean of the squared gradients, float32, the parameters' tree.
    """

    steps: Array
    mean: Any
    square: Any


def decays(path: str) -> bool:
    """Whether fastai decays the parameter at `path`, such as `encoder/lstm_0/input_bias`.

    Normalisation layers and what is named `bias` are left alone. LSTM biases are decayed: fastai's `norm_bias_params`
    looks for tensors named `bias`, and that attribute of `torch.nn.LSTM` is a Boolean.
    """
    *parents, name = path.split("/")
    parent = parents[-1] if parents else ""
    return name != "bias" and not parent.startswith("norm_")


def fastai_adam(
    sqr_momentum: float = 0.99,
    eps: float = 1e-5,
    weight_decay: float = 0.01,
    decay_mask: Callable[[str], bool] = decays,
) -> optax.GradientTransformationExtraArgs:
    """fastai's `Adam` with `decouple_wd=True`.

    Step k, from 1, for a parameter p with gradient g, rate lr and momentum mom, in this order:

        p <- p * (1 - lr * weight_decay)                                      where `decay_mask` says so
        m <- mom * m + (1 - mom) * g
        v <- sqr_momentum * v + (1 - sqr_momentum) * g**2
        p <- p - lr / (1 - mom**k) * m / (sqrt(v / (1 - sqr_momentum**k)) + eps)

    The bias correction of the mean takes the momentum of the current step, also where the momentum was another before.

    Args:
        sqr_momentum: 0.99, fastai's `sqr_mom`.
        eps: 1e-5, fastai's default; added outside the root.
        weight_decay: 0.01, fastai's default; its ULMFiT notebook takes 0.1.
        decay_mask: whether to decay the parameter at a path.

    Returns:
        A transformation with `update(gradients, state, params, *, learning_rate, momentum)`, both scalars, arrays or
        not. All arrays are float32.
    """

    def init(params: Any) -> AdamState:
        return AdamState(jnp.zeros([], jnp.int32), _zeros_like(params), _zeros_like(params))

    def update(
        gradients: Any,
        state: AdamState,
        params: Any = None,
        *,
        learning_rate: Array | float,
        momentum: Array | float,
        **extra: Any,
    ) -> tuple[Any, AdamState]:
        del extra
        if params is None:
            raise ValueError("weight decay needs the parameters: call update(gradients, state, params, ...)")
        rate, momentum = jnp.asarray(learning_rate, jnp.float32), jnp.asarray(momentum, jnp.float32)
        steps = optax.safe_increment(state.steps)
        mean = jax.tree.map(lambda m, g: momentum * m + (1.0 - momentum) * g, state.mean, gradients)
        square = jax.tree.map(
            lambda v, g: sqr_momentum * v + (1.0 - sqr_momentum) * jnp.square(g), state.square, gradients
        )
        rate_corrected = rate / _one_minus_power(jnp.log(momentum), steps)
        square_correction = _one_minus_power(math.log(sqr_momentum), steps)

        def change(key_path: Any, p: Array, m: Array, v: Array) -> Array:
            step = rate_corrected * (m / (jnp.sqrt(v / square_correction) + eps))
            if weight_decay == 0.0 or not decay_mask(path_name(key_path)):
                return -step
            return -(rate * weight_decay) * p - step

        return jax.tree_util.tree_map_with_path(change, params, mean, square), AdamState(steps, mean, square)

    return optax.GradientTransformationExtraArgs(init, update)


def _zeros_like(params: Any) -> Any:
    return jax.tree.map(lambda p: jnp.zeros(p.shape, jnp.float32), params)


def _one_minus_power(log_base: Array | float, exponent: Array) -> Array:
    """1 - base**exponent, without the cancellation that costs 1 - 0.99**1 six of the 24 bits of float32."""
    return -jnp.expm1(exponent.astype(jnp.float32) * log_base)
