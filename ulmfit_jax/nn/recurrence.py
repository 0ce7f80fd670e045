"""The LSTM recurrence over time: the fast form with its own gradient, and the plain form it is tested against.

Both take the input projection already made (`x @ input_kernel + bias` for all steps in one product: it does not depend
on the recurrence, and XLA cannot hoist it out of a loop by itself) and do only what is serial:

    gates_t       = projected_t + h_{t-1} @ recurrent_kernel            [batch, 4 * hidden], in the order i, f, g, o
    c_t           = sigmoid(f) * c_{t-1} + sigmoid(i) * tanh(g)
    h_t           = sigmoid(o) * tanh(c_t)

Where a document ends inside a stream, `ends` tells, and the next step begins from h = c = 0.

The gradient of a `lax.scan` adds a small product per step to a carried weight gradient. `recurrence` instead keeps the
activated gates, lets the backward loop write the gate gradients, and forms the weight gradient in one product over all
steps: the same numbers for less time.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

from ulmfit_jax.nn.products import rounded_einsum


class LstmState(NamedTuple):
    """What an LSTM layer carries from one step to the next: `hidden` h and `cell` c, both `[batch, hidden]`."""

    hidden: Array
    cell: Array


def _cell(gates: Array, cell: Array) -> tuple[Array, Array, tuple[Array, Array, Array, Array]]:
    """One step from the gates' sums `[batch, 4 * hidden]`: hidden, cell, activated gates."""
    i, f, g, o = jnp.split(gates, 4, axis=-1)
    i, f, g, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jnp.tanh(g), jax.nn.sigmoid(o)
    cell = f * cell + i * g
    return o * jnp.tanh(cell), cell, (i, f, g, o)


def _kept(state: LstmState, ends: Array | None) -> LstmState:
    """The state that the next step begins from: zero in the rows `[batch]` where a document has ended."""
    if ends is None:
        return state
    return LstmState(*(jnp.where(ends[:, None], 0.0, array) for array in state))


def recurrence_reference(
    projected: Array, recurrent_kernel: Array, state: LstmState, ends: Array | None = None
) -> tuple[Array, LstmState]:
    """The recurrence as a plain scan in float32, differentiated by JAX: the readable twin of `recurrence`, with the
    same arguments."""

    def step(carry: LstmState, inputs: tuple[Array, Array | None]) -> tuple[LstmState, Array]:
        projected_t, ends_t = inputs
        hidden, cell, _ = _cell(projected_t + carry.hidden @ recurrent_kernel, carry.cell)
        return _kept(LstmState(hidden, cell), ends_t), hidden

    final, outputs = lax.scan(step, state, (projected, ends))
    return outputs, final


@partial(jax.custom_vjp, nondiff_argnums=(4,))
def recurrence(
    projected: Array,
    recurrent_kernel: Array,
    state: LstmState,
    ends: Array | None = None,
    dtype: DTypeLike = jnp.float32,
) -> tuple[Array, LstmState]:
    """Run an LSTM layer over time.

    Args:
        projected: input projection with the bias added, `[time, batch, 4 * hidden]`.
        recurrent_kernel: `[hidden, 4 * hidden]`, gates in the order i, f, g, o.
        state: state before the first step, two arrays `[batch, hidden]`.
        ends: where a document's last token is read, `[time, batch]` bool: the state is zero after it. None: nowhere.
        dtype: what the operands of matrix products are rounded to (`ulmfit_jax.nn.products`).

    Returns:
        The hidden states `[time, batch, hidden]` and the state after the last step.
    """
    return _forward(projected, recurrent_kernel, state, ends, dtype)[0]


def _forward(
    projected: Array, recurrent_kernel: Array, state: LstmState, ends: Array | None, dtype: DTypeLike
) -> tuple[tuple[Array, LstmState], tuple]:
    rounded_kernel = recurrent_kernel.astype(dtype)

    def step(carry: LstmState, inputs: tuple[Array, Array | None]) -> tuple[LstmState, tuple[Array, Array, Array]]:
        projected_t, ends_t = inputs
        recurrent = rounded_einsum("bh,hg->bg", carry.hidden, rounded_kernel, dtype)
        hidden, cell, gates = _cell(projected_t + recurrent, carry.cell)
        return _kept(LstmState(hidden, cell), ends_t), (hidden, cell, jnp.concatenate(gates, axis=-1))

    final, (outputs, cells, gates) = lax.scan(step, state, (projected, ends))
    return (outputs, final), (outputs, cells, gates, recurrent_kernel, state, ends)


def _backward(
    dtype: DTypeLike, saved: tuple, gradients: tuple[Array, LstmState]
) -> tuple[Array, Array, LstmState, None]:
    outputs, cells, gates, recurrent_kernel, state, ends = saved
    d_outputs, d_final = gradients
    kept = LstmState(outputs, cells)
    if ends is not None:
        kept = LstmState(*(jnp.where(ends[..., None], 0.0, array) for array in kept))
    previous_hidden, previous_cells = (
        jnp.concatenate([first[None], later[:-1]]) for first, later in zip(state, kept, strict=True)
    )
    kernel_transposed = recurrent_kernel.astype(dtype).T

    def step(carry: LstmState, inputs: tuple[Array, Array, Array, Array, Array | None]) -> tuple[LstmState, Array]:
        d_output, gates_t, cell, previous_cell, ends_t = inputs
        carry = _kept(carry, ends_t)
        i, f, g, o = jnp.split(gates_t, 4, axis=-1)
        tanh_cell = jnp.tanh(cell)
        d_hidden = d_output + carry.hidden
        d_cell = carry.cell + d_hidden * o * (1 - tanh_cell * tanh_cell)
        d_gates = jnp.concatenate(
            [
                d_cell * g * i * (1 - i),
                d_cell * previous_cell * f * (1 - f),
                d_cell * i * (1 - g * g),
                d_hidden * tanh_cell * o * (1 - o),
            ],
            axis=-1,
        )
        return LstmState(rounded_einsum("bg,gh->bh", d_gates, kernel_transposed, dtype), d_cell * f), d_gates

    d_state, d_projected = lax.scan(step, d_final, (d_outputs, gates, cells, previous_cells, ends), reverse=True)
    d_kernel = rounded_einsum("tbh,tbg->hg", previous_hidden, d_projected, dtype)
    return d_projected, d_kernel, d_state, None


recurrence.defvjp(_forward, _backward)
