"""Clipping of gradients by their global norm."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import optax
from jax import Array

from ulmfit_jax.errors import ConfigError


def clipping_scale(gradients: Any, max_norm: float) -> Array:
    """The factor, float32 `[]`, that brings gradients down to a global norm of `max_norm`; 1 where theirs is smaller.

    As `torch.nn.utils.clip_grad_norm_`, which fastai's `GradientClip` calls, with its 1e-6 against a division by zero.
    """
    return jnp.minimum(1.0, max_norm / (optax.tree.norm(gradients) + 1e-6))


def check_max_norm(max_norm: float | None) -> None:
    """Check the norm to clip to.

    Raises:
        ConfigError: a norm that is not positive.
    """
    if max_norm is not None and not max_norm > 0.0:
        raise ConfigError(f"max_norm is {max_norm}: give a positive number, or None for no clipping")
