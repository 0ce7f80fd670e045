"""Which token comes next: what a draw from the model's probabilities may choose from."""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

from ulmfit_jax.errors import ConfigError

_LONGEST_RUN = 64
"""Tokens of a run that may not come twice; a longer one never does by chance."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn; a token has to pass every limit, and the most probable one always does.

    Attributes:
        temperature: 1 draws from the model's probabilities; less prefers likely tokens (the notebook uses 0.75).
        top_k: the most probable tokens that are drawn from, 0 for no limit.
        top_p: the fewest tokens whose probabilities, at this temperature, sum to at least this much (nucleus sampling,
            Holtzman et al. 2020); 1 for no limit.
        min_p: tokens with a lower probability by the model are never drawn (fastai's `min_p`); 0 for no limit.
        no_repeat: no run of so many tokens comes twice in 512 tokens, the prompt included; 0 for no limit.

    Raises:
        ConfigError: a number is out of its range.
    """

    temperature: float = 0.75
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    no_repeat: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise ConfigError(
                f"temperature is {self.temperature}, it has to be above 0 and finite (below 1 is safer text, above 1 "
                "wilder)"
            )
        if self.top_k < 0:
            raise ConfigError(f"top_k is {self.top_k}, it has to be at least 0 (0 is no limit)")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p is {self.top_p}, it has to be above 0 and at most 1 (1 is no limit)")
        if not 0 <= self.min_p < 1:
            raise ConfigError(f"min_p is {self.min_p}, it has to be at least 0 and below 1")
        if self.no_repeat != 0 and not 2 <= self.no_repeat <= _LONGEST_RUN:
            raise ConfigError(
                f"no_repeat is {self.no_repeat}, it has to be 0 (no limit) or from 2 to {_LONGEST_RUN} tokens"
            )

    @property
    def ranks(self) -> bool:
        """Whether the tokens have to be sorted, which costs more than the rest of a draw."""
        return self.top_k > 0 or self.top_p < 1


def allowed(
    scores: Array, temperature: Array, top_k: Array, top_p: Array, min_p: Array, *, ranks: bool = True
) -> Array:
    """The scores `[vocabulary]` at this temperature, minus infinity for tokens that `Sampling` leaves out.

    `ranks` False leaves `top_k` and `top_p` out of account.
    """
    heated = scores / temperature
    kept = jax.nn.softmax(scores) >= min_p
    if ranks:
        probabilities = jax.nn.softmax(heated)
        falling = jnp.sort(probabilities, descending=True)
        before = jnp.cumsum(falling) - falling
        in_nucleus = jnp.where(before < top_p, falling, jnp.float32(jnp.inf)).min()
        in_nucleus = jnp.where(top_p < 1, in_nucleus, jnp.float32(0))  # all sum to 1 before the rarest, by rounding
        last = jnp.where(top_k > 0, falling[jnp.clip(top_k - 1, 0, scores.shape[0] - 1)], jnp.float32(0))
        kept &= probabilities >= jnp.maximum(in_nucleus, last)
    return jnp.where(kept | (scores == scores.max()), heated, -jnp.inf)
