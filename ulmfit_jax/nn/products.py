"""Matrix products whose operands may be rounded to a narrower type, forward and backward; sums are float32 always.

Accelerators, and CPUs with instructions for it (`avx512_bf16`, `amx_bf16`), multiply bfloat16 several times as fast as
float32; other CPUs are slower. Parameters, activations, states and gradients stay float32; only what goes into a
product is rounded, to 8 bits of mantissa (on accelerators also what is kept of gates: `ulmfit_jax.nn.recurrence_rows`).
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_derivatives import CustomVJPPrimal, SymbolicZero
from jax.typing import DTypeLike

from ulmfit_jax.errors import ConfigError

PRECISIONS = ("float32", "bfloat16")


def check_precision(precision: str | None) -> None:
    """Raise a ConfigError unless `precision` is one of `PRECISIONS`, or None."""
    if precision not in (None, *PRECISIONS):
        raise ConfigError(f"precision is {precision!r}: choose one of {', '.join(PRECISIONS)}")


def chosen_precision(precision: str | None) -> str:
    """`precision`; where it is None, bfloat16 on accelerators and float32 on CPUs."""
    return precision or ("float32" if jax.default_backend() == "cpu" else "bfloat16")


def rounded_einsum(subscripts: str, left: Array, right: Array, dtype: DTypeLike) -> Array:
    """`jnp.einsum` of operands rounded to `dtype`, summed in float32; its gradient is JAX's own.

    float32 means float32: without the highest precision, a GPU would round the operands to the 10 bits of TF32, a TPU
    to bfloat16.
    """
    operands = left.astype(dtype), right.astype(dtype)
    return jnp.einsum(subscripts, *operands, precision=lax.Precision.HIGHEST, preferred_element_type=jnp.float32)


@partial(jax.custom_vjp, nondiff_argnums=(0, 3))
def product(subscripts: str, left: Array, right: Array, dtype: DTypeLike = jnp.float32) -> Array:
    """The product of two float32 arrays by `jnp.einsum`'s `subscripts`, such as `tbi,ig->tbg`.

    Each index has to stand in two of the three arrays. The products of the gradient are rounded in the same way; one
    that nobody asks for (of a frozen kernel, or of the input of the lowest trained layer) is not made.
    """
    return rounded_einsum(subscripts, left, right, dtype)


def _forward(
    subscripts: str, left: CustomVJPPrimal, right: CustomVJPPrimal, dtype: DTypeLike
) -> tuple[Array, tuple[Array | None, Array | None]]:
    result = rounded_einsum(subscripts, left.value, right.value, dtype)
    return result, (left.value if right.perturbed else None, right.value if left.perturbed else None)


def _backward(
    subscripts: str, dtype: DTypeLike, saved: tuple[Array | None, Array | None], d_result: Array | SymbolicZero
) -> tuple[Array | None, Array | None]:
    left, right = saved
    if isinstance(d_result, SymbolicZero):
        return None, None
    operands, result = subscripts.split("->")
    left_indices, right_indices = operands.split(",")
    into_left, into_right = f"{result},{right_indices}->{left_indices}", f"{left_indices},{result}->{right_indices}"
    d_left = None if right is None else rounded_einsum(into_left, d_result, right, dtype)
    d_right = None if left is None else rounded_einsum(into_right, left, d_result, dtype)
    return d_left, d_right


product.defvjp(_forward, _backward, symbolic_zeros=True)
