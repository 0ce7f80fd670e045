"""The LSTM recurrence over time: the fast form with its own gradient, and the plain form it is tested against.

Both take the input projection already made (`x @ input_kernel + bias` for all steps in one product: it does not depend
on the recurrence, and XLA cannot hoist it out of a loop by itself) and do only what is serial:

    gates_t       = projected_t + h_{t-1} @ recurrent_kernel            [batch, 4 * hidden], in the order i, f, g, o
    c_t           = sigmoid(f) * c_{t-1} + sigmoid(i) * tanh(g)
    h_t           = sigmoid(o) * tanh(c_t)

Where a document ends inside a stream, `ends` tells, and the next step begins from h = c = 0.

The gradient of a `lax.scan` adds a small product per step to a carried weight gradient. `recurrence` instead keeps the
activated gates, lets the backward loop write the gate gradients, and forms the weight gradient in one product over all
steps: the same numbers for less time. What it carries lies as the processor multiplies it fastest (`_COLUMNS`).
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


_ROWS, _COLUMNS = 1, 0
"""The axis of the features of what the loop of `recurrence` carries.

Rows `[batch, features]` suit the matrix units and lanes of accelerators, which take features by hundreds. A CPU is
faster with a column for each text and the kernel on the left of the product: 357 to 419 GFLOP/s, and not 217 to 363, at
32 to 128 texts and 1,152 hidden features (benchmarks/README.md).
"""


_UNROLLED_STEPS = 8
"""Steps of the loop that are one body of it on an accelerator, where a step is a few kernels of some microseconds and
the loop's own bookkeeping one more; on a CPU, which gains nothing, one."""


def _features_axis() -> int:
    return _COLUMNS if jax.default_backend() == "cpu" else _ROWS


def _unroll() -> int:
    return 1 if jax.default_backend() == "cpu" else _UNROLLED_STEPS


def _turned(array: Array, axis: int) -> Array:
    """An array `[..., batch, features]` as it lies in the loop, and the other way round."""
    return array if axis == _ROWS else jnp.swapaxes(array, -1, -2)


def _times(array: Array, kernel: Array, axis: int, dtype: DTypeLike) -> Array:
    """`array @ kernel` where both lie as `_turned` gives them."""
    if axis == _ROWS:
        return rounded_einsum("bi,io->bo", array, kernel, dtype)
    return rounded_einsum("oi,ib->ob", kernel, array, dtype)


def _cell(gates: Array, cell: Array, axis: int = _ROWS) -> tuple[Array, Array, Array]:
    """One step from the gates' sums, `[batch, 4 * hidden]` if `axis`, that of the features, is 1: hidden, cell,
    activated gates.

    All four gates are one hyperbolic tangent, sigmoid(x) = tanh(x / 2) / 2 + 1 / 2. Separate ones would be computed
    again by XLA for each of the results, and their concatenation would be a branch for every number.
    """
    hidden = cell.shape[axis]
    is_candidate = jnp.arange(4 * hidden, dtype=jnp.int32) // hidden == 2
    scale = jnp.expand_dims(jnp.where(is_candidate, jnp.float32(1), jnp.float32(0.5)), 1 - axis)
    activated = jnp.tanh(gates * scale) * scale + (1 - scale)
    i, f, g, o = jnp.split(activated, 4, axis=axis)
    cell = f * cell + i * g
    return o * jnp.tanh(cell), cell, activated


def _kept(state: LstmState, ends: Array | None, axis: int = _ROWS) -> LstmState:
    """The state that the next step begins from: zero in the rows `[batch]` where a document has ended."""
    if ends is None:
        return state
    return LstmState(*(jnp.where(jnp.expand_dims(ends, axis), 0.0, array) for array in state))


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
    return forward(projected, recurrent_kernel, state, ends, dtype)[0]


def forward(
    projected: Array, recurrent_kernel: Array, state: LstmState, ends: Array | None, dtype: DTypeLike
) -> tuple[tuple[Array, LstmState], tuple]:
    """What `recurrence` returns, and what `backward` needs: hidden states, cells and activated gates as they lie in the
    loop, the kernel, the first state as it lies there, and `ends`."""
    axis = _features_axis()
    # For a single step, XLA would make the transposition a part of the product, which it has none for in bfloat16.
    kernel = lax.optimization_barrier(_turned(recurrent_kernel.astype(dtype), axis))

    def step(carry: LstmState, inputs: tuple[Array, Array | None]) -> tuple[LstmState, tuple[Array, Array, Array]]:
        projected_t, ends_t = inputs
        recurrent = _times(carry.hidden, kernel, axis, dtype)
        hidden, cell, gates = _cell(_turned(projected_t, axis) + recurrent, carry.cell, axis)
        kept = _kept(LstmState(hidden, cell), ends_t, axis)
        return kept, (hidden, cell, gates)

    first = LstmState(*(_turned(array, axis) for array in state))
    last, (outputs, cells, gates) = lax.scan(step, first, (projected, ends), unroll=_unroll())
    final = LstmState(*(_turned(array, axis) for array in last))
    return (_turned(outputs, axis), final), (outputs, cells, gates, recurrent_kernel, first, ends)


def backward(
    dtype: DTypeLike, saved: tuple, gradients: tuple[Array, LstmState]
) -> tuple[Array, Array, LstmState, None]:
    """The gradients of `projected`, `recurrent_kernel` and `state`, from what `forward` has saved and those of the
    results."""
    outputs, cells, gates, recurrent_kernel, first, ends = saved
    d_outputs, d_final = gradients
    axis = _features_axis()
    before = LstmState(outputs, cells)
    if ends is not None:
        before = LstmState(*(jnp.where(jnp.expand_dims(ends, axis + 1), 0.0, array) for array in before))
    previous_hidden, previous_cells = (
        jnp.concatenate([one[None], later[:-1]]) for one, later in zip(first, before, strict=True)
    )
    kernel = _turned(recurrent_kernel.astype(dtype).T, axis)

    def step(carry: LstmState, inputs: tuple[Array, Array, Array, Array, Array | None]) -> tuple[LstmState, Array]:
        d_output, gates_t, cell, previous_cell, ends_t = inputs
        carry = _kept(carry, ends_t, axis)
        i, f, g, o = jnp.split(gates_t, 4, axis=axis)
        tanh_cell = jnp.tanh(cell)
        d_hidden = _turned(d_output, axis) + carry.hidden
        d_cell = carry.cell + d_hidden * o * (1 - tanh_cell * tanh_cell)
        d_gates = jnp.concatenate(
            [
                d_cell * g * i * (1 - i),
                d_cell * previous_cell * f * (1 - f),
                d_cell * i * (1 - g * g),
                d_hidden * tanh_cell * o * (1 - o),
            ],
            axis=axis,
        )
        return LstmState(_times(d_gates, kernel, axis, dtype), d_cell * f), d_gates

    last = LstmState(*(_turned(array, axis) for array in d_final))
    over = (d_outputs, gates, cells, previous_cells, ends)
    d_first, d_projected = lax.scan(step, last, over, reverse=True, unroll=_unroll())
    d_projected = _turned(d_projected, axis)
    d_kernel = rounded_einsum("tbh,tbg->hg", _turned(previous_hidden, axis), d_projected, dtype)
    return d_projected, d_kernel, LstmState(*(_turned(array, axis) for array in d_first)), None


recurrence.defvjp(forward, backward)
