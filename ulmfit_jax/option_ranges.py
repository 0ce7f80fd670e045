"""Ranges that options of training share: what is out of them is refused before anything is read or computed."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from math import inf
from typing import Any

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


def whole(name: str, value: Any, several: bool = False) -> Any:
    """A whole number as `int`, such as NumPy's; where there may be `several`, a tuple of them; None as it is.

    Raises:
        ConfigError: it is something else, such as 16.0.
    """
    if value is None:
        return None
    if several and isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(whole(name, one) for one in value)
    try:
        return operator.index(value)
    except TypeError as error:
        raise ConfigError(f"{name} is {value!r}: it is a whole number") from error


def make_whole(options: Any, *names: str, several: Sequence[str] = ()) -> None:
    """Make these fields of a frozen dataclass whole numbers (see `whole`), `several` also tuples of them.

    Raises:
        ConfigError: one is something else.
    """
    for name in (*names, *several):
        object.__setattr__(options, name, whole(name, getattr(options, name), name in several))


def check_seed(seed: int | None) -> None:
    """Refuse a seed that does not fit into 32 bits, or is none.

    Raises:
        ConfigError: see above.
    """
    if seed is None or not 0 <= seed < 2**32:
        raise ConfigError(f"seed is {seed}: it is a whole number from 0 to {2**32 - 1}")


def check_lr_mult(lr_mult: float) -> None:
    """Refuse a spread of learning rates that rises towards the embedding, or is not finite.

    Raises:
        ConfigError: see above.
    """
    if not 1 <= lr_mult < inf:
        raise ConfigError(f"lr_mult is {lr_mult}: the head's rate is at least once that of the embedding")
