"""An LSTM layer over groups of rows, of which idle ones cost nothing, forward or backward.

Documents of a batch are not equally long: where all rows of a group have not begun, the layer skips them at run time.
The gradient is written out, with `lax.cond` around each group in both directions, because differentiating a `lax.cond`
inside a `lax.scan` keeps a copy of the kernels for each step of the scan; and the mask of the recurrent matrix is kept
as one byte an element, from which the masked matrix is made again.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_derivatives import CustomVJPPrimal, SymbolicZero
from jax.typing import DTypeLike

from ulmfit_jax.nn import recurrence as lstm
from ulmfit_jax.nn.lstm_state import LstmState
from ulmfit_jax.nn.products import rounded_einsum


@partial(jax.custom_vjp, nondiff_argnums=(7,))
def grouped_layer(
    inputs: Array,
    input_kernel: Array,
    bias: Array,
    recurrent_kernel: Array,
    weight_mask: Array | None,
    state: LstmState,
    active: Array,
    dtype: DTypeLike = jnp.float32,
) -> tuple[Array, LstmState]:
    """Run an LSTM layer over time.

    Args:
        inputs: `[time, batch, in]`.
        input_kernel: `[in, 4 * hidden]`, gates in the order i, f, g, o.
        bias: `[4 * hidden]`.
        recurrent_kernel: `[hidden, 4 * hidden]`.
        weight_mask: what scales it, of the same shape, as `ulmfit_jax.nn.dropout.keep_mask` gives it; None: nothing.
        state: state before the first step, two arrays `[batch, hidden]`.
        active: which groups of rows to run, `[groups]` bool; the batch is a multiple of the groups.
        dtype: what the operands of matrix products are rounded to (`ulmfit_jax.nn.products`).

    Returns:
        The hidden states `[time, batch, hidden]` and the state after the last step; zero in the rows that do not run.
    """
    kernel = recurrent_kernel if weight_mask is None else recurrent_kernel * weight_mask

    def run(inputs: Array, state: LstmState) -> tuple[Array, LstmState]:
        return lstm.recurrence(_projected(inputs, input_kernel, bias, dtype), kernel, state, None, dtype)

    parts = [
        _run_or_zeros(runs, run, *_rows(inputs, state, rows))
        for runs, rows in zip(active, _slices(active, inputs), strict=True)
    ]
    return _joined([outputs for outputs, _ in parts], [final for _, final in parts])


def _forward(
    inputs: CustomVJPPrimal,
    input_kernel: CustomVJPPrimal,
    bias: CustomVJPPrimal,
    recurrent_kernel: CustomVJPPrimal,
    weight_mask: CustomVJPPrimal | None,
    state: Any,
    active: CustomVJPPrimal,
    dtype: DTypeLike,
) -> tuple[tuple[Array, LstmState], tuple]:
    first = LstmState(state.hidden.value, state.cell.value)
    mask = None if weight_mask is None else (weight_mask.value != 0, weight_mask.value.max())
    kernel = _masked(recurrent_kernel.value, mask)

    def run(inputs: Array, state: LstmState) -> tuple:
        projected = _projected(inputs, input_kernel.value, bias.value, dtype)
        result, (kept, _, first, _) = lstm.forward(projected, kernel, state, None, dtype)
        return result, (kept, first)

    parts = [
        _run_or_zeros(runs, run, *_rows(inputs.value, first, rows))
        for runs, rows in zip(active.value, _slices(active.value, inputs.value), strict=True)
    ]
    result = _joined([outputs for (outputs, _), _ in parts], [final for (_, final), _ in parts])
    saved = [kept for _, kept in parts]
    # What is saved may be arrays or None only, and the lowest trained layer needs no gradient of its inputs.
    wanted = jnp.zeros((), jnp.float32) if inputs.perturbed else None
    return result, (inputs.value, input_kernel.value, recurrent_kernel.value, mask, active.value, saved, wanted)


def _backward(
    dtype: DTypeLike, kept: tuple, gradients: tuple[Array | SymbolicZero, LstmState]
) -> tuple[Array | None, Array, Array, Array, None, LstmState, None]:
    inputs, input_kernel, recurrent_kernel, mask, active, saved, wanted = kept
    d_outputs, d_final = jax.tree.map(_filled, gradients, is_leaf=lambda leaf: isinstance(leaf, SymbolicZero))
    kernel = _masked(recurrent_kernel, mask)

    def run(total: tuple, inputs: Array, saved: tuple, d_outputs: Array, d_final: LstmState) -> tuple:
        d_projected, d_kernel, d_state, _ = lstm.backward(
            dtype, (saved[0], kernel, saved[1], None), (d_outputs, d_final)
        )
        d_input_kernel = rounded_einsum("tbi,tbg->ig", inputs, d_projected, dtype)
        added = (d_input_kernel, d_projected.sum(axis=(0, 1)), d_kernel)
        d_inputs = None if wanted is None else rounded_einsum("tbg,ig->tbi", d_projected, input_kernel, dtype)
        return jax.tree.map(jnp.add, total, added), (d_inputs, d_state)

    def skip(total: tuple, inputs: Array, saved: tuple, d_outputs: Array, d_final: LstmState) -> tuple:
        return total, (None if wanted is None else jnp.zeros_like(inputs), jax.tree.map(jnp.zeros_like, d_final))

    total = tuple(map(jnp.zeros_like, (input_kernel, input_kernel[0], recurrent_kernel)))
    parts = []
    for runs, rows, group in zip(active, _slices(active, inputs), saved, strict=True):
        d_rows = _rows(d_outputs, d_final, rows)
        total, part = lax.cond(runs, run, skip, total, inputs[:, rows], group, *d_rows)
        parts.append(part)
    d_input_kernel, d_bias, d_kernel = total
    d_state = jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *(state for _, state in parts))
    d_inputs = None if wanted is None else jnp.concatenate([d_rows for d_rows, _ in parts], axis=1)
    return d_inputs, d_input_kernel, d_bias, _masked(d_kernel, mask), None, d_state, None


grouped_layer.defvjp(_forward, _backward, symbolic_zeros=True)


def _projected(inputs: Array, kernel: Array, bias: Array, dtype: DTypeLike) -> Array:
    return rounded_einsum("tbi,ig->tbg", inputs, kernel, dtype) + bias[None, None]


def _masked(kernel: Array, mask: tuple[Array, Array] | None) -> Array:
    """The kernel times its mask, given as where it is not zero, and what it is there."""
    return kernel if mask is None else jnp.where(mask[0], kernel * mask[1], jnp.float32(0))


def _slices(active: Array, inputs: Array) -> list[slice]:
    """The rows of each group; a batch of one group may be of any size, known or not."""
    groups = active.shape[0]
    size = inputs.shape[1] // groups
    return [slice(size * group, size * (group + 1)) for group in range(groups)] if groups > 1 else [slice(None)]


def _rows(sequence: Array, state: LstmState, rows: slice) -> tuple[Array, LstmState]:
    return sequence[:, rows], LstmState(state.hidden[rows], state.cell[rows])


def _run_or_zeros(runs: Array, run: Any, *arguments: Any) -> Any:
    """`run(*arguments)`, or zeros of the same shapes."""
    shapes = jax.eval_shape(run, *arguments)
    return lax.cond(
        runs, run, lambda *_: jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes), *arguments
    )


def _joined(outputs: list[Array], finals: list[LstmState]) -> tuple[Array, LstmState]:
    return jnp.concatenate(outputs, axis=1), jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *finals)


def _filled(gradient: Array | SymbolicZero) -> Array:
    return jnp.zeros(gradient.shape, jnp.float32) if isinstance(gradient, SymbolicZero) else gradient
