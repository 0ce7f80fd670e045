"""The LSTM recurrence as a CPU runs it fastest: with a column for each text, the kernel on the left of the product.

357 to 419 GFLOP/s, and not 217 to 363, at 32 to 128 texts and 1,152 hidden features (benchmarks/README.md). Arrays in
the loop are `[features, batch]`, what is outside of it `[batch, features]`.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

from ulmfit_jax.nn.lstm_state import LstmState
from ulmfit_jax.nn.products import rounded_einsum


def forward(
    projected: Array, recurrent_kernel: Array, state: LstmState, ends: Array | None, dtype: DTypeLike
) -> tuple[tuple[Array, LstmState], tuple[Array, Array, Array]]:
    """What `ulmfit_jax.nn.recurrence.recurrence` returns, and the hidden states, cells and activated gates of all
    steps, `[time, features, batch]`."""
    # For a single step, XLA would make the transposition a part of the product, which it has none for in bfloat16.
    kernel = lax.optimization_barrier(recurrent_kernel.astype(dtype).T)

    def step(carry: LstmState, inputs: tuple[Array, Array | None]) -> tuple[LstmState, tuple[Array, Array, Array]]:
        projected_t, ends_t = inputs
        recurrent = rounded_einsum("oi,ib->ob", kernel, carry.hidden, dtype)
        hidden, cell, gates = _cell(projected_t.T + recurrent, carry.cell)
        return _kept(LstmState(hidden, cell), ends_t), (hidden, cell, gates)

    last, kept = lax.scan(step, LstmState(state.hidden.T, state.cell.T), (projected, ends))
    return (jnp.swapaxes(kept[0], 1, 2), LstmState(last.hidden.T, last.cell.T)), kept


def backward(
    dtype: DTypeLike,
    kept: tuple[Array, Array, Array],
    recurrent_kernel: Array,
    state: LstmState,
    ends: Array | None,
    gradients: tuple[Array, LstmState],
) -> tuple[Array, Array, LstmState]:
    """The gradients of `projected`, `recurrent_kernel` and `state`, from what `forward` has kept and those of the
    results."""
    outputs, cells, gates = kept
    d_outputs, d_final = gradients
    before = LstmState(outputs, cells)
    if ends is not None:
        before = LstmState(*(jnp.where(ends[:, None], 0.0, array) for array in before))
    previous_hidden, previous_cells = (
        jnp.concatenate([one.T[None], later[:-1]]) for one, later in zip(state, before, strict=True)
    )
    kernel = recurrent_kernel.astype(dtype)

    def step(carry: LstmState, inputs: tuple[Array, Array, Array, Array, Array | None]) -> tuple[LstmState, Array]:
        d_output, gates_t, cell, previous_cell, ends_t = inputs
        carry = _kept(carry, ends_t)
        i, f, g, o = jnp.split(gates_t, 4)
        tanh_cell = jnp.tanh(cell)
        d_hidden = d_output.T + carry.hidden
        d_cell = carry.cell + d_hidden * o * (1 - tanh_cell * tanh_cell)
        d_gates = jnp.concatenate(
            [
                d_cell * g * i * (1 - i),
                d_cell * previous_cell * f * (1 - f),
                d_cell * i * (1 - g * g),
                d_hidden * tanh_cell * o * (1 - o),
            ]
        )
        return LstmState(rounded_einsum("oi,ib->ob", kernel, d_gates, dtype), d_cell * f), d_gates

    last = LstmState(d_final.hidden.T, d_final.cell.T)
    d_first, d_columns = lax.scan(step, last, (d_outputs, gates, cells, previous_cells, ends), reverse=True)
    d_projected = jnp.swapaxes(d_columns, 1, 2)
    d_kernel = rounded_einsum("tbh,tbg->hg", jnp.swapaxes(previous_hidden, 1, 2), d_projected, dtype)
    return d_projected, d_kernel, LstmState(d_first.hidden.T, d_first.cell.T)


def _cell(gates: Array, cell: Array) -> tuple[Array, Array, Array]:
    """One step from the gates' sums `[4 * hidden, batch]`: hidden, cell, activated gates.

    All four gates are one hyperbolic tangent, sigmoid(x) = tanh(x / 2) / 2 + 1 / 2. Separate ones would be computed
    again by XLA for each of the results, and their concatenation would be a branch for every number.
    """
    hidden = cell.shape[0]
    is_candidate = jnp.arange(4 * hidden, dtype=jnp.int32) // hidden == 2
    scale = jnp.where(is_candidate, jnp.float32(1), jnp.float32(0.5))[:, None]
    activated = jnp.tanh(gates * scale) * scale + (1 - scale)
    i, f, g, o = jnp.split(activated, 4)
    cell = f * cell + i * g
    return o * jnp.tanh(cell), cell, activated


def _kept(state: LstmState, ends: Array | None) -> LstmState:
    """The state that the next step begins from: zero for the texts `[batch]` where a document has ended."""
    if ends is None:
        return state
    return LstmState(*(jnp.where(ends[None], 0.0, array) for array in state))
