from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracles.fastai_adam import NumpyAdam
from ulmfit_jax.optim.adam import decays, fastai_adam
from ulmfit_jax.optim.schedules import one_cycle, one_cycle_momentum


def test_many_steps_with_moving_hyperparameters_match_the_numpy_twin() -> None:
    random = np.random.default_rng(0)
    params = {"encoder": {"lstm_0": {"input_bias": jnp.asarray(random.normal(size=(7, 5)), jnp.float32)}}}
    twin = NumpyAdam(np.asarray(params["encoder"]["lstm_0"]["input_bias"]), weight_decay=0.1)
    transform = fastai_adam(weight_decay=0.1)
    state = transform.init(params)
    rates, momentums = one_cycle(300, 0.02), one_cycle_momentum(300, (0.95, 0.7, 0.9))
    update = jax.jit(transform.update)
    for t in range(300):
        gradient = (random.normal(size=(7, 5)) * 10.0 ** random.uniform(-6, 2)).astype(np.float32)
        twin.step(gradient, rates(t), momentums(t))
        gradients = {"encoder": {"lstm_0": {"input_bias": jnp.asarray(gradient)}}}
        updates, state = update(gradients, state, params, learning_rate=rates(t), momentum=momentums(t))
        params = optax.apply_updates(params, updates)
    np.testing.assert_allclose(params["encoder"]["lstm_0"]["input_bias"], twin.value, rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(state.mean["encoder"]["lstm_0"]["input_bias"], twin.mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(state.square["encoder"]["lstm_0"]["input_bias"], twin.square, rtol=1e-5)
    assert int(state.steps) == 300
    assert update._cache_size() == 1


# Parameters after k steps of fastai 2.8.12 (torch 2.13), Adam with wd=.1 under `combined_cos(.25, lr/25, lr, lr/1e5)`
# with lr .01 for w and .1 for b, momentum .8 to .7 to .8, 20 steps; b has do_wd=False. w starts at [.5, -1, 2] with the
# gradient sin(t + [0, 1, 2]), b at [.25, -.75] with cos(2t + [0, 1]).
FASTAI_ADAM = {
    1: (
        [0.49998000264167786, -1.0003600120544434, 1.9995200634002686],
        [0.2460000365972519, -0.7539999485015869],
    ),
    2: (
        [0.49887675046920776, -1.0015243291854858, 1.9983197450637817],
        [0.24274609982967377, -0.7486369609832764],
    ),
    5: ([0.4904077351093292, -0.9983771443367004, 2.002953052520752], [0.21674427390098572, -0.7501018643379211]),
    20: ([0.49076414108276367, -0.9916022419929504, 1.981515884399414], [0.2232879251241684, -0.7484479546546936]),
}


def test_matches_fastais_own_numbers() -> None:
    w = {"lstm_0": {"input_bias": jnp.asarray([0.5, -1.0, 2.0], jnp.float32)}}
    b = {"norm_0": {"bias": jnp.asarray([0.25, -0.75], jnp.float32)}}
    transform = fastai_adam(weight_decay=0.1)
    w_state, b_state = transform.init(w), transform.init(b)
    rates, momentums = one_cycle(20, 0.1), one_cycle_momentum(20)
    for t in range(20):
        w_gradient = {"lstm_0": {"input_bias": jnp.asarray(np.sin(t + np.arange(3)), jnp.float32)}}
        b_gradient = {"norm_0": {"bias": jnp.asarray(np.cos(2 * t + np.arange(2)), jnp.float32)}}
        rate, momentum = rates(t), momentums(t)
        w_update, w_state = transform.update(w_gradient, w_state, w, learning_rate=rate / 10, momentum=momentum)
        b_update, b_state = transform.update(b_gradient, b_state, b, learning_rate=rate, momentum=momentum)
        w, b = optax.apply_updates(w, w_update), optax.apply_updates(b, b_update)
        if t + 1 in FASTAI_ADAM:
            np.testing.assert_allclose(w["lstm_0"]["input_bias"], FASTAI_ADAM[t + 1][0], rtol=1e-6)
            np.testing.assert_allclose(b["norm_0"]["bias"], FASTAI_ADAM[t + 1][1], rtol=1e-6)


@given(
    shape=st.lists(st.integers(1, 4), max_size=3).map(tuple),
    steps=st.integers(1, 8),
    weight_decay=st.sampled_from([0.0, 0.01, 0.1]),
    sqr_momentum=st.sampled_from([0.9, 0.99, 0.999]),
    eps=st.sampled_from([1e-8, 1e-5]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=20)
def test_any_shape_and_setting_matches_the_numpy_twin(
    shape: tuple[int, ...], steps: int, weight_decay: float, sqr_momentum: float, eps: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    params = {"kernel": jnp.asarray(random.normal(size=shape), jnp.float32)}
    twin = NumpyAdam(np.asarray(params["kernel"]), weight_decay, sqr_momentum, eps)
    transform = fastai_adam(sqr_momentum, eps, weight_decay)
    state = transform.init(params)
    for _ in range(steps):
        gradient = np.asarray(random.normal(size=shape), np.float32)
        rate, momentum = 10.0 ** random.uniform(-4, -1), random.uniform(0.0, 0.99)
        twin.step(gradient, rate, momentum)
        updates, state = transform.update(
            {"kernel": jnp.asarray(gradient)}, state, params, learning_rate=rate, momentum=momentum
        )
        params = optax.apply_updates(params, updates)
    np.testing.assert_allclose(params["kernel"], twin.value, rtol=1e-4, atol=1e-5)


def test_without_decay_and_at_constant_rates_it_is_optaxs_adam() -> None:
    params = {"kernel": jnp.asarray(np.linspace(-1, 1, 12).reshape(3, 4), jnp.float32)}
    ours, theirs = fastai_adam(weight_decay=0.0), optax.adam(1e-2, b1=0.9, b2=0.99, eps=1e-5)
    our_state, their_state = ours.init(params), theirs.init(params)
    for t in range(25):
        gradients = {"kernel": jnp.sin(params["kernel"] * jnp.float32(t + 1))}
        our_update, our_state = ours.update(gradients, our_state, params, learning_rate=1e-2, momentum=0.9)
        with jax.numpy_dtype_promotion("standard"):  # Optax's own code is not strict
            their_update, their_state = theirs.update(gradients, their_state, params)
        np.testing.assert_allclose(our_update["kernel"], their_update["kernel"], rtol=1e-4, atol=1e-7)


def test_momentum_zero_is_no_momentum() -> None:
    params = {"kernel": jnp.ones(3, jnp.float32)}
    transform = fastai_adam(weight_decay=0.0)
    updates, _ = transform.update(
        {"kernel": jnp.asarray([2.0, -3.0, 0.0], jnp.float32)},
        transform.init(params),
        params,
        learning_rate=0.1,
        momentum=0.0,
    )
    np.testing.assert_allclose(updates["kernel"], [-0.1, 0.1, 0.0], rtol=1e-5)


@pytest.mark.parametrize(
    ("path", "decayed"),
    [
        ("encoder/embedding", True),
        ("encoder/lstm_0/input_kernel", True),
        ("encoder/lstm_2/recurrent_kernel", True),
        ("encoder/lstm_1/input_bias", True),
        ("decoder/bias", False),
        ("head/norm_0/scale", False),
        ("head/norm_1/bias", False),
        ("head/dense_0/kernel", True),
        ("head/dense_0/bias", False),
        ("kernel", True),
        ("bias", False),
    ],
)
def test_decays_what_fastai_decays(path: str, decayed: bool) -> None:
    assert decays(path) is decayed


def test_only_masked_parameters_are_decayed() -> None:
    params = {"a": jnp.ones(2, jnp.float32), "b": jnp.ones(2, jnp.float32)}
    transform = fastai_adam(weight_decay=0.5, decay_mask=lambda path: path == "a")
    zeros = jax.tree.map(jnp.zeros_like, params)
    updates, _ = transform.update(zeros, transform.init(params), params, learning_rate=0.1, momentum=0.9)
    np.testing.assert_allclose(updates["a"], -0.05, rtol=1e-6)
    np.testing.assert_array_equal(updates["b"], 0.0)


def test_parameters_are_needed() -> None:
    params = {"kernel": jnp.ones(2, jnp.float32)}
    transform = fastai_adam()
    with pytest.raises(ValueError, match="needs the parameters"):
        transform.update(params, transform.init(params), learning_rate=0.1, momentum=0.9)
