"""The layer over groups of rows against the layer over all of them, differentiated by JAX."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from ulmfit_jax.nn.grouped_layer import grouped_layer
from ulmfit_jax.nn.lstm_state import LstmState
from ulmfit_jax.nn.recurrence import recurrence_reference

TIME, BATCH, INPUTS, HIDDEN = 3, 6, 4, 5
Weights = tuple[Array, Array, Array]


@pytest.fixture(scope="module")
def drawn() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    shapes = {
        "inputs": (TIME, BATCH, INPUTS),
        "input_kernel": (INPUTS, 4 * HIDDEN),
        "bias": (4 * HIDDEN,),
        "recurrent_kernel": (HIDDEN, 4 * HIDDEN),
        "hidden": (BATCH, HIDDEN),
        "cell": (BATCH, HIDDEN),
        "d_outputs": (TIME, BATCH, HIDDEN),
        "d_hidden": (BATCH, HIDDEN),
        "d_cell": (BATCH, HIDDEN),
    }
    arrays = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    kept = random.random((HIDDEN, 4 * HIDDEN)) < 0.7
    return arrays | {"mask": np.where(kept, np.float32(1 / 0.7), np.float32(0))}


def plain(inputs: Array, weights: Weights, mask: Array | None, state: LstmState, active: Array) -> tuple:
    """All rows, and zeros where they do not run."""
    kernel, bias, recurrent = weights
    recurrent = recurrent if mask is None else recurrent * mask
    projected = jnp.einsum("tbi,ig->tbg", inputs, kernel) + bias[None, None]
    outputs, final = recurrence_reference(projected, recurrent, state)
    rows = jnp.repeat(active, BATCH // active.shape[0])[:, None]
    return jnp.where(rows[None], outputs, 0.0), *(jnp.where(rows, array, 0.0) for array in final)


def grouped(inputs: Array, weights: Weights, mask: Array | None, state: LstmState, active: Array) -> tuple:
    outputs, final = grouped_layer(inputs, *weights, mask, state, active)
    return outputs, *final


@pytest.mark.parametrize("active", [(True,), (False,), (True, False), (False, True, True), (False, False)])
@pytest.mark.parametrize("masked", [True, False])
def test_values_and_gradients_are_the_plain_ones(
    drawn: dict[str, np.ndarray], active: tuple[bool, ...], masked: bool
) -> None:
    def values_and_gradients(form: Callable) -> tuple:
        def run(inputs: Array, weights: Weights, state: LstmState) -> tuple:
            return form(inputs, weights, drawn["mask"] if masked else None, state, jnp.asarray(active))

        weights = tuple(jnp.asarray(drawn[name]) for name in ("input_kernel", "bias", "recurrent_kernel"))
        state = LstmState(jnp.asarray(drawn["hidden"]), jnp.asarray(drawn["cell"]))
        values, pull_back = jax.vjp(jax.jit(run), jnp.asarray(drawn["inputs"]), weights, state)
        return values, pull_back(tuple(jnp.asarray(drawn[name]) for name in ("d_outputs", "d_hidden", "d_cell")))

    found, expected = map(jax.tree.leaves, map(values_and_gradients, (grouped, plain)))
    assert any(np.asarray(array).any() for array in expected) == any(active)
    for array, twin in zip(found, expected, strict=True):
        np.testing.assert_allclose(array, twin, rtol=1e-5, atol=1e-5)


def test_a_scan_keeps_no_copy_of_the_kernels_and_a_fixed_input_costs_no_product(drawn: dict[str, np.ndarray]) -> None:
    """What is saved of a step are arrays of the batch; the gradient of inputs that nobody asks for is not made."""
    steps = 7

    def total(kernel: Array) -> Array:
        state = LstmState(jnp.asarray(drawn["hidden"]), jnp.asarray(drawn["cell"]))

        def step(state: LstmState, inputs: Array) -> tuple[LstmState, Array]:
            weights = kernel, jnp.asarray(drawn["bias"]), jnp.asarray(drawn["recurrent_kernel"])
            outputs, state = grouped_layer(
                inputs, *weights, jnp.asarray(drawn["mask"]), state, jnp.array([True, False])
            )
            return jax.lax.stop_gradient(state), outputs

        return jax.lax.scan(step, state, jnp.stack([drawn["inputs"]] * steps))[1].sum()

    program = str(jax.make_jaxpr(jax.grad(total))(jnp.asarray(drawn["input_kernel"])))
    assert f"f32[{steps},{TIME},{BATCH},{INPUTS}]" in program
    assert f"f32[{steps},{INPUTS},{4 * HIDDEN}]" not in program
    assert f"f32[{steps},{HIDDEN},{4 * HIDDEN}]" not in program
    assert f"f32[{TIME},{BATCH // 2},{INPUTS}] = dot_general" not in program
