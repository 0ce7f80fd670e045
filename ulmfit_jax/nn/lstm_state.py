"""The state of an LSTM layer."""

from __future__ import annotations

from typing import NamedTuple

from jax import Array


class LstmState(NamedTuple):
    """What an LSTM layer carries from one step to the next: `hidden` h and `cell` c, both `[batch, hidden]`."""

    hidden: Array
    cell: Array
