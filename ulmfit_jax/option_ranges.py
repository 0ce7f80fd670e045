"""Ranges that options of training share: what is out of them is refused before anything is read or computed."""

from __future__ import annotations

from math import inf

from ulmfit_jax.errors import ConfigError


def check_positive(**options: float | None) -> None:
    """Refuse numbers that are not finite and above 0; None, which leaves the choice to the data, is none.

    Raises:
        ConfigError: it names the option.
    """
    for name, value in options.items():
        if value is not None and not 0 < value < inf:
            raise ConfigError(f"{name} is {value}: it is a finite number above 0")


def check_from_zero(**options: float | None) -> None:
    """The same with 0 allowed."""
    for name, value in options.items():
        if value is not None and not 0 <= value < inf:
            raise ConfigError(f"{name} is {value}: it is a finite number, 0 or more")


def check_lr_mult(lr_mult: float) -> None:
    """Refuse a spread of learning rates that rises towards the embedding, or is not finite.

    Raises:
        ConfigError: see above.
    """
    if not 1 <= lr_mult < inf:
        raise ConfigError(f"lr_mult is {lr_mult}: the head's rate is at least once that of the embedding")
