from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracles.batch_norm import NumpyBatchNorm
from ulmfit_jax.nn.batch_norm import BatchNorm, running_statistics
from ulmfit_jax.nn.parameters import ModuleDefinition, Tree

DEFINITION = ModuleDefinition(lambda rngs: BatchNorm(3))
ROWS = 8


def drawn(seed: int) -> tuple[Tree, Tree, np.ndarray, np.ndarray]:
    """Parameters, running statistics, features [8, 3] and weights of the outputs."""
    random = np.random.default_rng(seed)
    draw = lambda *shape: random.normal(1, 2, shape).astype(np.float32)  # noqa: E731
    return (
        {"scale": draw(3), "bias": draw(3)},
        {"mean": draw(3), "variance": draw(3) ** 2},
        draw(ROWS, 3),
        draw(ROWS, 3),
    )


def twin(parameters: Tree, statistics: Tree) -> NumpyBatchNorm:
    return NumpyBatchNorm(parameters["scale"], parameters["bias"], statistics["mean"], statistics["variance"])


@jax.jit
def train(parameters: Tree, statistics: Tree, features: jax.Array, rows: jax.Array) -> tuple[jax.Array, Tree]:
    norm = DEFINITION.bind(parameters, statistics)
    return norm(features, rows), DEFINITION.statistics_of(norm)


@jax.jit
def train_on_four_devices(
    parameters: Tree, statistics: Tree, features: jax.Array, rows: jax.Array
) -> tuple[jax.Array, Tree]:
    def share(features: jax.Array, rows: jax.Array) -> tuple[jax.Array, Tree]:
        norm = DEFINITION.bind(parameters, statistics)
        return norm(features, rows, "shares"), DEFINITION.statistics_of(norm)

    outputs, new = jax.vmap(share, axis_name="shares")(features.reshape(4, 2, 3), rows.reshape(4, 2))
    return outputs.reshape(ROWS, 3), jax.tree.map(lambda leaf: leaf[0], new)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), mask=st.integers(0, 2**ROWS - 1).filter(lambda bits: bits.bit_count() > 1))
@pytest.mark.parametrize("run", [train, train_on_four_devices], ids=["one device", "four devices"])
def test_training_is_the_twin_over_the_true_rows(run, seed: int, mask: int) -> None:  # type: ignore[no-untyped-def]
    parameters, statistics, features, _ = drawn(seed)
    rows = np.array([bool(mask >> i & 1) for i in range(ROWS)])
    outputs, new = run(parameters, statistics, features, rows)
    expected = twin(parameters, statistics)
    np.testing.assert_allclose(outputs[rows], expected.train(features[rows].astype(np.float64)), rtol=1e-4, atol=1e-4)
    moved = running_statistics(statistics, new)
    np.testing.assert_allclose(moved["mean"], expected.mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(moved["variance"], expected.variance, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("run", [train, train_on_four_devices], ids=["one device", "four devices"])
def test_a_single_row_is_normalised_as_in_evaluation_and_moves_nothing(run) -> None:  # type: ignore[no-untyped-def]
    parameters, statistics, features, _ = drawn(1)
    rows = np.arange(ROWS) == 5
    outputs, new = run(parameters, statistics, features, rows)
    expected = twin(parameters, statistics).evaluate(features.astype(np.float64))
    np.testing.assert_allclose(outputs[5], expected[5], rtol=1e-5, atol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, new, statistics)


def test_evaluation_uses_the_running_statistics_and_leaves_them() -> None:
    parameters, statistics, features, _ = drawn(0)
    norm = DEFINITION.bind(parameters, statistics)
    expected = twin(parameters, statistics).evaluate(features.astype(np.float64))
    np.testing.assert_allclose(norm(features), expected, rtol=1e-5, atol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, DEFINITION.statistics_of(norm), statistics)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), steps=st.integers(1, 60))
def test_the_running_statistics_are_torch_s_without_their_beginning(seed: int, steps: int) -> None:
    _, running = DEFINITION.initialise(0)
    torch = NumpyBatchNorm(np.ones(3), np.zeros(3), np.zeros(3), np.ones(3))
    random = np.random.default_rng(seed)
    for step in range(steps):
        features = random.normal(step, 2, (ROWS, 3))
        torch.train(features)
        batch = {"mean": features.mean(axis=0), "variance": features.var(axis=0, ddof=1)}
        batch = {name: leaf.astype(np.float32) for name, leaf in batch.items()}
        running = running_statistics(running, batch, jnp.uint32(step))
    forgotten = 0.9**steps
    np.testing.assert_allclose(running["mean"], torch.mean / (1 - forgotten), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(running["variance"], (torch.variance - forgotten) / (1 - forgotten), rtol=1e-5)


def test_gradients_are_the_slopes_of_the_twin_and_masked_rows_get_none() -> None:
    parameters, statistics, features, weights = drawn(3)
    rows = np.array([True, True, False, True, True, True, False, True])

    def total(features: jax.Array) -> jax.Array:
        outputs, _ = train(parameters, statistics, features, rows)
        return jnp.where(rows[:, None], weights * outputs, jnp.float32(0)).sum()

    gradient = np.asarray(jax.grad(total)(features))
    assert not gradient[~rows].any()
    wide = features.astype(np.float64)
    for row, column in [(0, 0), (4, 1), (7, 2)]:
        step = np.zeros_like(wide)
        step[row, column] = 1e-5
        above, below = (
            (weights[rows] * twin(parameters, statistics).train((wide + sign * step)[rows])).sum() for sign in (1, -1)
        )
        assert gradient[row, column] == pytest.approx((above - below) / 2e-5, rel=1e-3, abs=1e-4)


def test_fresh_layers_are_torch_s_with_fastai_s_bias() -> None:
    parameters, statistics = DEFINITION.initialise(0)
    np.testing.assert_array_equal(parameters["scale"], np.ones(3))
    np.testing.assert_allclose(parameters["bias"], np.full(3, 1e-3), rtol=1e-6)
    np.testing.assert_array_equal(statistics["mean"], np.zeros(3))
    np.testing.assert_array_equal(statistics["variance"], np.ones(3))
