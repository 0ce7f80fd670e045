from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracles.averaged_sgd import NumpyAveragedSgd
from ulmfit_jax.errors import ConfigError, TrainingError
from ulmfit_jax.optim.nt_asgd import NonMonotonicTrigger, averaged_params, nt_asgd, start_averaging


@pytest.mark.parametrize("max_norm", [None, 0.25])
def test_switch_and_mean_match_the_numpy_twin(max_norm: float | None) -> None:
    random = np.random.default_rng(0)
    params = {"kernel": jnp.asarray(random.normal(size=(4, 3)), jnp.float32)}
    twin = NumpyAveragedSgd(np.asarray(params["kernel"]), 0.01, max_norm)
    transform = nt_asgd(weight_decay=0.01, max_norm=max_norm)
    state = transform.init(params)
    update = jax.jit(transform.update)
    for t in range(60):
        if t == 20:
            state, twin.averaging = start_averaging(state), True
            np.testing.assert_array_equal(averaged_params(state, params)["kernel"], params["kernel"])
        gradient = random.normal(size=(4, 3)).astype(np.float32)
        rate = 0.3 if t < 40 else 0.1
        twin.step(gradient, rate)
        updates, state = update({"kernel": jnp.asarray(gradient)}, state, params, learning_rate=np.float32(rate))
        params = optax.apply_updates(params, updates)
        np.testing.assert_allclose(params["kernel"], twin.value, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(averaged_params(state, params)["kernel"], twin.average(), rtol=1e-4, atol=1e-5)
    assert int(state.averaged) == 40
    assert update._cache_size() == 1


def test_iterates_are_those_of_torchs_asgd() -> None:
    # torch 2.13, `ASGD(lr=.3, t0=0, lambd=0, weight_decay=.01)` from [.5, -1] with the gradient sin(t + [0, 1]) clipped
    # to .25. Its mean forgets the first iterate, ours does not.
    by_torch = [
        [0.4984999895095825, -1.0719999074935913],
        [0.446064293384552, -1.1238300800323486],
        [0.3706133961677551, -1.1319606304168701],
        [0.3557533919811249, -1.0548356771469116],
        [0.4011502265930176, -0.9927977323532104],
        [0.4719521701335907, -0.968838095664978],
    ]
    params = {"p": jnp.asarray([0.5, -1.0], jnp.float32)}
    transform = nt_asgd(weight_decay=0.01)
    state = start_averaging(transform.init(params))
    for t, expected in enumerate(by_torch):
        gradients = {"p": jnp.asarray(np.sin(t + np.arange(2)), jnp.float32)}
        updates, state = transform.update(gradients, state, params, learning_rate=0.3)
        params = optax.apply_updates(params, updates)
        np.testing.assert_allclose(params["p"], expected, rtol=1e-5)
        np.testing.assert_allclose(averaged_params(state, params)["p"], np.mean(by_torch[: t + 1], axis=0), rtol=1e-5)


def test_starting_twice_keeps_the_mean() -> None:
    params = {"p": jnp.ones(2, jnp.float32)}
    transform = nt_asgd()
    state = start_averaging(transform.init(params))
    _, state = transform.update(params, state, params, learning_rate=1.0)
    jax.tree.map(np.testing.assert_array_equal, start_averaging(state), state)


def test_a_state_saved_with_orbax_comes_back(tmp_path: Path) -> None:
    params = {"p": jnp.ones(2, jnp.float32)}
    transform = nt_asgd()
    _, state = transform.update(params, start_averaging(transform.init(params)), params, learning_rate=1.0)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "state", state)
        checkpointer.wait_until_finished()
        restored = checkpointer.restore(tmp_path / "state", jax.eval_shape(transform.init, params))
    jax.tree.map(np.testing.assert_array_equal, restored, state)


def test_parameters_and_a_positive_norm_are_needed() -> None:
    params = {"p": jnp.ones(2, jnp.float32)}
    transform = nt_asgd()
    with pytest.raises(ValueError, match="needs the parameters"):
        transform.update(params, transform.init(params), learning_rate=1.0)
    with pytest.raises(ConfigError, match="max_norm is 0"):
        nt_asgd(max_norm=0.0)


@given(st.lists(st.integers(0, 20).map(float), max_size=25), st.integers(1, 6))
def test_trigger_fires_as_in_the_awd_lstm_code(losses: list[float], nonmono: int) -> None:
    trigger, logs, switched = NonMonotonicTrigger(nonmono), [], False
    for loss in losses:
        switched = switched or (len(logs) > nonmono and loss > min(logs[:-nonmono]))
        logs.append(loss)
        trigger = trigger.observe(loss)
        assert trigger.fired == switched
    assert trigger.losses == tuple(losses)


def test_trigger_waits_for_more_than_five_epochs() -> None:
    trigger = NonMonotonicTrigger()
    fired: list[bool] = []
    for loss in (4.0, 5.0, 5.0, 5.0, 5.0, 5.0, 4.5, 1.0):
        trigger = trigger.observe(loss)
        fired.append(trigger.fired)
    assert fired == [False] * 6 + [True, True]


def test_trigger_survives_json() -> None:
    trigger = NonMonotonicTrigger(3).observe(2.0).observe(1.5)
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(trigger)))
    assert NonMonotonicTrigger(**plain) == trigger


def test_trigger_refuses_what_it_cannot_compare() -> None:
    with pytest.raises(TrainingError, match="the validation loss of epoch 1 is nan"):
        NonMonotonicTrigger().observe(3.0).observe(float("nan"))
    with pytest.raises(ConfigError, match="nonmono is 0"):
        NonMonotonicTrigger(nonmono=0)
