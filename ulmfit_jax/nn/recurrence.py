"""The LSTM recurrence over time: the fast forms with their own gradient, and the plain form they are tested against.

All take the input projection already made (`x @ input_kernel + bias` for all steps in one product: it does not depend
on the recurrence, and XLA cannot hoist it out of a loop by itself) and do only what is serial:

    gates_t       = projected_t + h_{t-1} @ recurrent_kernel            [batch, 4 * hidden], in the order i, f, g, o
    c_t           = sigmoid(f) * c_{t-1} + sigmoid(i) * tanh(g)
    h_t           = sigmoid(o) * tanh(c_t)

Where a document ends inside a stream, `ends` tells, and the next step begins from h = c = 0.

The gradient of a `lax.scan` adds a small product per step to a carried weight gradient. `recurrence` instead keeps the
activated gates, lets the backward loop write the gate gradients, and forms the weight gradient in one product over all
steps: the same numbers for less time. How its arrays lie is chosen here for the platform: `recurrence_columns` on CPUs,
`recurrence_rows` on accelerators.
"""

from __future__ import annotations

from functools import partial
from types import ModuleType

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

from ulmfit_jax.nn import recurrence_columns, recurrence_rows
from ulmfit_jax.nn.lstm_state import LstmState


def platform_form() -> ModuleType:
    """The form of the recurrence that is fastest where the program runs: a module with `forward` and `backward`."""
    return recurrence_columns if jax.default_backend() == "cpu" else recurrence_rows


def recurrence_reference(
    projected: Array, recurrent_kernel: Array, state: LstmState, ends: Array | None = None
) -> tuple[Array, LstmState]:
    """The recurrence as a plain scan in float32, differentiated by JAX: the readable twin of `recurrence`, with the
    same arguments."""

    def step(carry: LstmState, inputs: tuple[Array, Array | None]) -> tuple[LstmState, Array]:
        projected_t, ends_t = inputs
        i, f, g, o = jnp.split(projected_t + carry.hidden @ recurrent_kernel, 4, axis=1)
        cell = jax.nn.sigmoid(f) * carry.cell + jax.nn.sigmoid(i) * jnp.tanh(g)
        hidden = jax.nn.sigmoid(o) * jnp.tanh(cell)
        after = LstmState(hidden, cell)
        if ends_t is not None:
            after = LstmState(*(jnp.where(ends_t[:, None], jnp.float32(0), array) for array in after))
        return after, hidden

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
    """What `recurrence` returns, and what `backward` needs: `(kept, recurrent_kernel, state, ends)`, where `kept` is a
    tuple of arrays of the steps, as they lie in the platform's form."""
    result, kept = platform_form().forward(projected, recurrent_kernel, state, ends, dtype)
    return result, (kept, recurrent_kernel, state, ends)


def backward(
    dtype: DTypeLike, saved: tuple, gradients: tuple[Array, LstmState]
) -> tuple[Array, Array, LstmState, None]:
    """The gradients of `projected`, `recurrent_kernel` and `state`, from what `forward` has saved and those of the
    results."""
    return *platform_form().backward(dtype, *saved, gradients), None


recurrence.defvjp(forward, backward)
