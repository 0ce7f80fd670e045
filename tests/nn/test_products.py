"""Products in float32 and of rounded operands, and what rounding does to the network."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.architecture import Architecture, Dropouts
from ulmfit_jax.nn.awd_lstm import LanguageModelNetwork, Noise, initial_state
from ulmfit_jax.nn.parameters import ModuleDefinition, flatten
from ulmfit_jax.nn.products import check_precision, product, rounded_einsum

SUBSCRIPTS = "tbi,ig->tbg"
LEFT = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
RIGHT = np.random.default_rng(1).normal(size=(5, 6)).astype(np.float32)


def rounded(array: np.ndarray, dtype: jnp.dtype) -> np.ndarray:
    """An array as a product reads it, in float64."""
    return np.asarray(jnp.asarray(array).astype(dtype), np.float64)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_values_and_gradients_are_products_of_the_rounded_operands(dtype: jnp.dtype) -> None:
    left, right = rounded(LEFT, dtype), rounded(RIGHT, dtype)
    value, pull = jax.vjp(lambda a, b: product(SUBSCRIPTS, a, b, dtype), LEFT, RIGHT)
    np.testing.assert_allclose(value, left @ right, rtol=1e-5, atol=1e-6)
    cotangent = np.random.default_rng(2).normal(size=value.shape).astype(np.float32)
    d_left, d_right = pull(jnp.asarray(cotangent))
    narrow = rounded(cotangent, dtype)
    np.testing.assert_allclose(d_left, narrow @ right.T, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(d_right, np.einsum("tbi,tbg->ig", left, narrow), rtol=1e-5, atol=1e-6)
    assert {array.dtype for array in (value, d_left, d_right)} == {jnp.dtype(jnp.float32)}


def test_sums_do_not_lose_small_terms() -> None:
    """257 ones: bfloat16 cannot count beyond 256, the float32 sum can."""
    ones = jnp.ones((1, 257), jnp.float32)
    assert float(rounded_einsum("ab,cb->ac", ones, ones, jnp.bfloat16)[0, 0]) == 257


@pytest.mark.parametrize("steps", [1, 2, 9])
def test_a_language_model_of_rounded_products_is_near_the_exact_one(steps: int) -> None:
    """The last batch of an epoch may have a single step, whose products XLA arranges in another way."""
    sizes = Architecture(vocabulary_size=30, embedding_size=8, hidden_size=12, n_layers=3)
    tokens = np.random.default_rng(0).integers(2, 30, (steps + 1, 4)).astype(np.int32)

    def gradients(dtype: jnp.dtype) -> tuple[float, dict[str, np.ndarray]]:
        definition = ModuleDefinition(lambda rngs: LanguageModelNetwork(sizes, dtype=dtype, rngs=rngs))
        parameters, _ = definition.initialise(0)
        noise = Noise(jax.random.key(0), Dropouts(), np.arange(4, dtype=np.int32))

        def loss(parameters: dict) -> jax.Array:
            state = jax.tree.map(lambda zeros: zeros + 0.5, initial_state(sizes, 4))
            return definition.bind(parameters).loss(tokens[:-1], tokens[1:], state, noise)[0]

        differentiated: Callable = jax.jit(jax.value_and_grad(loss))
        value, tree = differentiated(parameters)
        return float(value), {path: np.asarray(leaf) for path, leaf in flatten(tree).items()}

    (exact, exact_gradients), (near, near_gradients) = gradients(jnp.float32), gradients(jnp.bfloat16)
    assert 0 < abs(near - exact) < 1e-3 * exact
    for path, gradient in near_gradients.items():
        error = np.linalg.norm(gradient - exact_gradients[path]) / np.linalg.norm(exact_gradients[path])
        assert 0 < error < 0.02, (path, error)


def test_an_unknown_precision_is_refused() -> None:
    check_precision(None)
    with pytest.raises(ConfigError, match="precision is 'float16': choose one of float32, bfloat16"):
        check_precision("float16")
