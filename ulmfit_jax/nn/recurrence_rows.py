"""The LSTM recurrence as accelerators run it fastest: that of `ulmfit_jax.nn.recurrence` in fewer kernels.

A step is a product and some arithmetic on each number. On a GPU each kernel costs microseconds whatever it does, and 72
steps wait for each other in every layer, so what counts is how few kernels a step is and how few bytes they move: all
that is kept of a step is written as two arrays, hidden state and cell side by side in float32, and the four activated
gates side by side in the type that products are rounded to, as is the gradient of their sums. In float32 the numbers
are the same; in bfloat16 gradients differ by more than the rounding of products: a gate beyond 0.998 is kept as 1,
where its slope is 0. Arrays have the texts as rows, `[batch, features]`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

from ulmfit_jax.nn.lstm_state import LstmState
from ulmfit_jax.nn.products import rounded_einsum

UNROLL = 4
"""Steps that are one body of the loop: its own bookkeeping is one more kernel each time around."""


def forward(
    projected: Array, recurrent_kernel: Array, state: LstmState, ends: Array | None, dtype: DTypeLike
) -> tuple[tuple[Array, LstmState], tuple[Array, Array]]:
    """What `ulmfit_jax.nn.recurrence.recurrence` returns, and of all steps the hidden states and cells, `[time, batch,
    2 * hidden]`, and the activated gates, `[time, batch, 4 * hidden]`."""
    hidden = recurrent_kernel.shape[0]
    kernel = recurrent_kernel.astype(dtype)

    def step(carry: tuple[Array, Array], inputs: tuple[Array, Array | None]) -> tuple[tuple[Array, Array], tuple]:
        (rounded, cell), (projected_t, ends_t) = carry, inputs
        sums = projected_t + rounded_einsum("bi,io->bo", rounded, kernel, dtype)
        i, f, g, o = jnp.split(sums, 4, axis=-1)
        i, f, g, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jnp.tanh(g), jax.nn.sigmoid(o)
        cell = f * cell + i * g
        output = o * jnp.tanh(cell)
        kept = jnp.concatenate([output, cell], axis=-1), jnp.concatenate([i, f, g, o], axis=-1).astype(dtype)
        return (_zero_at(ends_t, output).astype(dtype), _zero_at(ends_t, cell)), kept

    _, (states, gates) = lax.scan(step, (state.hidden.astype(dtype), state.cell), (projected, ends), unroll=UNROLL)
    last = _zero_at(None if ends is None else ends[-1], states[-1])
    final = LstmState(last[:, :hidden], last[:, hidden:])
    return (states[..., :hidden], final), (states, gates)


def backward(
    dtype: DTypeLike,
    kept: tuple[Array, Array],
    recurrent_kernel: Array,
    state: LstmState,
    ends: Array | None,
    gradients: tuple[Array, LstmState],
) -> tuple[Array, Array, LstmState]:
    """The gradients of `projected`, `recurrent_kernel` and `state`, from what `forward` has kept and those of the
    results."""
    states, gates = kept
    d_outputs, d_final = gradients
    hidden = recurrent_kernel.shape[0]
    kernel = recurrent_kernel.astype(dtype)
    before = states if ends is None else jnp.where(ends[..., None], jnp.float32(0), states)
    before = jnp.concatenate([jnp.concatenate(state, axis=-1)[None], before[:-1]])
    cells, previous_cells = states[..., hidden:], before[..., hidden:]

    def step(carry: LstmState, inputs: tuple) -> tuple[LstmState, Array]:
        d_output, gates_t, cell, previous_cell, ends_t = inputs
        d_hidden, d_cell = (_zero_at(ends_t, array) for array in carry)
        i, f, g, o = jnp.split(gates_t.astype(jnp.float32), 4, axis=-1)
        tanh_cell = jnp.tanh(cell)
        d_hidden = d_output + d_hidden
        d_cell = d_cell + d_hidden * o * (1 - tanh_cell * tanh_cell)
        d_sums = jnp.concatenate(
            [
                d_cell * g * i * (1 - i),
                d_cell * previous_cell * f * (1 - f),
                d_cell * i * (1 - g * g),
                d_hidden * tanh_cell * o * (1 - o),
            ],
            axis=-1,
        ).astype(dtype)
        return LstmState(rounded_einsum("bg,hg->bh", d_sums, kernel, dtype), d_cell * f), d_sums

    over: tuple = (d_outputs, gates, cells, previous_cells, ends)
    d_state, d_projected = lax.scan(step, d_final, over, reverse=True, unroll=UNROLL)
    d_kernel = rounded_einsum("tbh,tbg->hg", before[..., :hidden], d_projected, dtype)
    return d_projected.astype(jnp.float32), d_kernel, d_state


def _zero_at(ends: Array | None, array: Array) -> Array:
    """`array` `[batch, features]` with zero in the rows where a document ends."""
    return array if ends is None else jnp.where(ends[:, None], jnp.float32(0), array)
