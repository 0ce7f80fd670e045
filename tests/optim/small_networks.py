"""The names of a small language model and of a small classifier with drawn arrays under them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def language_model(seed: int = 0, n_layers: int = 3) -> dict[str, Any]:
    return _draw(seed, {"encoder": _encoder(n_layers), "decoder": {"bias": (11,)}})


def classifier(seed: int = 0, n_layers: int = 3) -> dict[str, Any]:
    norm = {"scale": (5,), "bias": (5,)}
    head = {"norm_0": norm, "dense_0": {"kernel": (5, 3)}, "norm_1": norm, "dense_1": {"kernel": (3, 2)}}
    return _draw(seed, {"encoder": _encoder(n_layers), "head": head})


def _encoder(n_layers: int) -> dict[str, Any]:
    layer = {"input_kernel": (3, 8), "recurrent_kernel": (2, 8), "input_bias": (8,), "recurrent_bias": (8,)}
    return {"embedding": (11, 3)} | {f"lstm_{i}": layer for i in range(n_layers)}


def _draw(seed: int, shapes: dict[str, Any]) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    draw = lambda shape: jnp.asarray(random.normal(size=shape), jnp.float32)  # noqa: E731
    return jax.tree.map(draw, shapes, is_leaf=lambda node: isinstance(node, tuple))
