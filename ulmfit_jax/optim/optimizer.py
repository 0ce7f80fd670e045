"""The optimiser of the fine-tuning: Adam with a rate for each layer group, frozen groups and gradient clipping."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from ulmfit_jax.errors import ConfigError
from ulmfit_jax.optim.adam import fastai_adam
from ulmfit_jax.optim.clipping import check_max_norm, clipping_scale
from ulmfit_jax.optim.groups import LayerGroup, Parameters, group_labels, split_params


def layerwise_adam(
    params: Parameters,
    groups: Sequence[LayerGroup],
    trainable: Collection[str],
    weight_decay: float = 0.01,
    max_norm: float | None = None,
) -> optax.GradientTransformationExtraArgs:
    """fastai's Adam over all parameters, with one learning rate for each layer group.

    Make a new one, with a new state, where other groups train from now on: fastai's `freeze_to` clears the moments and
    the step count of all groups too. A step that computes nothing for frozen layers, inside a compiled function:

        trained, frozen = split_params(params, labels, trainable)
        gradients = merge_params(jax.grad(loss)(trained, frozen), jax.tree.map(jnp.zeros_like, frozen))
        updates, state = transform.update(gradients, state, params, learning_rates=rates, momentum=momentum)
        trained = optax.apply_updates(trained, split_params(updates, labels, trainable)[0])

    Args:
        params: the full nested dictionary; only its names are looked at.
        groups: layer groups that hold each parameter exactly once.
        trainable: names of the groups that train, from `freeze_to`. The others hold no moments and get zero updates.
        weight_decay: decoupled; 0.01 is fastai's default.
        max_norm: the global norm that the trainable gradients are scaled down to (fastai `GradientClip`); None: never.

    Returns:
        A transformation with `update(gradients, state, params, *, learning_rates, momentum)`: `learning_rates` is
        float32 `[groups]`, in the order of `groups`, frozen ones counted, and `momentum` a scalar. Both are traced, so
        their change compiles nothing. The gradients of frozen parameters are not looked at: zeros will do.

    Raises:
        ConfigError: a parameter in no group or in several, an unknown trainable group or none, a norm that is not
            positive, or (from `update`) rates that are not one for each group.
    """
    labels = group_labels(params, groups)
    _check_trainable(groups, trainable)
    check_max_norm(max_norm)
    partition = optax.multi_transform(
        {
            group.name: _group_adam(index, weight_decay) if group.name in trainable else optax.set_to_zero()
            for index, group in enumerate(groups)
        },
        labels,
    )

    def update(
        gradients: Any,
        state: Any,
        params: Any = None,
        *,
        learning_rates: Array,
        momentum: Array | float,
        **extra: Any,
    ) -> tuple[Any, Any]:
        del extra
        rates = jnp.asarray(learning_rates, jnp.float32)
        if rates.shape != (len(groups),):
            raise ConfigError(
                f"learning_rates has the shape {rates.shape}: give one for each of {len(groups)} layer groups"
            )
        if max_norm is not None:
            scale = clipping_scale(split_params(gradients, labels, trainable)[0], max_norm)
            gradients = jax.tree.map(lambda g: g * scale, gradients)
        return partition.update(gradients, state, params, learning_rates=rates, momentum=momentum)

    return optax.GradientTransformationExtraArgs(partition.init, update)


def _group_adam(index: int, weight_decay: float) -> optax.GradientTransformationExtraArgs:
    adam = fastai_adam(weight_decay=weight_decay)

    def update(
        gradients: Any, state: Any, params: Any = None, *, learning_rates: Array, **extra: Any
    ) -> tuple[Any, Any]:
        return adam.update(gradients, state, params, learning_rate=learning_rates[index], **extra)

    return optax.GradientTransformationExtraArgs(adam.init, update)


def _check_trainable(groups: Sequence[LayerGroup], trainable: Collection[str]) -> None:
    known = [group.name for group in groups]
    unknown = sorted(set(trainable) - set(known))
    if unknown:
        raise ConfigError(f"there is no layer group {unknown[0]!r} to train: choose among {', '.join(known)}")
    if not trainable:
        raise ConfigError(f"no layer group is trained: choose at least one of {', '.join(known)}")
