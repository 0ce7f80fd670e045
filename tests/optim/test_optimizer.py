from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from small_networks import classifier, language_model

from oracles.fastai_adam import NumpyAdam
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.optim.adam import decays, fastai_adam
from ulmfit_jax.optim.groups import (
    CLASSIFIER_GROUPS,
    LANGUAGE_MODEL_GROUPS,
    discriminative_rates,
    freeze_to,
    group_labels,
    merge_params,
    split_params,
)
from ulmfit_jax.optim.optimizer import layerwise_adam
from ulmfit_jax.optim.schedules import one_cycle, one_cycle_momentum

Tree = dict[str, Any]


def _by_path(tree: Tree) -> dict[str, jax.Array]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def test_each_group_is_its_own_adam_composed_by_hand() -> None:
    params = classifier()
    labels, names = group_labels(params, CLASSIFIER_GROUPS), freeze_to(CLASSIFIER_GROUPS, -3)
    peaks = np.array(discriminative_rates((1e-3, 2e-2), 5))
    whole, alone = layerwise_adam(params, CLASSIFIER_GROUPS, names, 0.1), fastai_adam(weight_decay=0.1)
    state = whole.init(params)
    parts = {name: split_params(params, labels, {name})[0] for name in names}
    part_states = {name: alone.init(part) for name, part in parts.items()}
    index = {group.name: i for i, group in enumerate(CLASSIFIER_GROUPS)}
    for t in range(12):
        gradients = classifier(seed=100 + t)
        rates, momentum = jnp.asarray(one_cycle(12, 1.0)(t) * peaks, jnp.float32), one_cycle_momentum(12)(t)
        updates, state = whole.update(gradients, state, params, learning_rates=rates, momentum=momentum)
        params = optax.apply_updates(params, updates)
        for name in names:
            part_updates, part_states[name] = alone.update(
                split_params(gradients, labels, {name})[0],
                part_states[name],
                parts[name],
                learning_rate=rates[index[name]],
                momentum=momentum,
            )
            parts[name] = optax.apply_updates(parts[name], part_updates)
    final = _by_path(params)
    for part in parts.values():
        for path, value in _by_path(part).items():
            np.testing.assert_array_equal(final[path], value, err_msg=path)


@pytest.mark.parametrize("max_norm", [None, 0.3])
def test_a_run_with_clipping_matches_the_numpy_twin_per_parameter(max_norm: float | None) -> None:
    params = start = language_model()
    names = freeze_to(LANGUAGE_MODEL_GROUPS, -2)
    labels = _by_path(group_labels(params, LANGUAGE_MODEL_GROUPS))
    index = {group.name: i for i, group in enumerate(LANGUAGE_MODEL_GROUPS)}
    twins = {path: NumpyAdam(np.asarray(p), 0.1 if decays(path) else 0.0) for path, p in _by_path(params).items()}
    transform = layerwise_adam(params, LANGUAGE_MODEL_GROUPS, names, 0.1, max_norm)
    state = transform.init(params)
    for t in range(40):
        gradients = language_model(seed=100 + t)
        rates, momentum = np.array([1e-3, 2e-3, 5e-3, 1e-2]) * one_cycle(40, 1.0)(t), one_cycle_momentum(40)(t)
        updates, state = transform.update(gradients, state, params, learning_rates=rates, momentum=momentum)
        params = optax.apply_updates(params, updates)
        trained = {path: np.asarray(g, np.float64) for path, g in _by_path(gradients).items() if labels[path] in names}
        norm = np.sqrt(sum((g**2).sum() for g in trained.values()))
        scale = 1.0 if max_norm is None else min(1.0, max_norm / (norm + 1e-6))
        for path, gradient in trained.items():
            twins[path].step(gradient * scale, rates[index[labels[path]]], momentum)
    for path, value in _by_path(params).items():
        if labels[path] in names:
            np.testing.assert_allclose(value, twins[path].value, rtol=2e-5, atol=2e-6, err_msg=path)
        else:
            np.testing.assert_array_equal(value, _by_path(start)[path], err_msg=path)


def test_frozen_gradients_neither_count_in_the_norm_nor_move_anything() -> None:
    params = classifier()
    transform = layerwise_adam(params, CLASSIFIER_GROUPS, {"head"}, max_norm=0.1)
    labels = group_labels(params, CLASSIFIER_GROUPS)
    gradients = classifier(seed=1)
    zeroed = jax.tree.map(lambda g, label: g if label == "head" else jnp.zeros_like(g), gradients, labels)
    rates = jnp.full(5, 1e-2, jnp.float32)
    results = [
        transform.update(g, transform.init(params), params, learning_rates=rates, momentum=0.8)
        for g in (gradients, zeroed)
    ]
    jax.tree.map(np.testing.assert_array_equal, *results)
    for path, update in _by_path(results[0][0]).items():
        assert bool((update != 0).any()) == path.startswith("head/")


def test_differentiating_the_trainable_half_alone_is_the_same_step() -> None:
    params = classifier()
    labels, names = group_labels(params, CLASSIFIER_GROUPS), freeze_to(CLASSIFIER_GROUPS, -2)
    transform = layerwise_adam(params, CLASSIFIER_GROUPS, names, max_norm=0.5)
    arguments = {"learning_rates": jnp.full(5, 1e-2, jnp.float32), "momentum": 0.8}

    def loss(trained: Tree, frozen: Tree) -> jax.Array:
        return sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(merge_params(trained, frozen)))

    @jax.jit
    def half_step(params: Tree, state: Any) -> tuple[Tree, Any]:
        trained, frozen = split_params(params, labels, names)
        gradients = merge_params(jax.grad(loss)(trained, frozen), jax.tree.map(jnp.zeros_like, frozen))
        updates, state = transform.update(gradients, state, params, **arguments)
        trained = optax.apply_updates(trained, split_params(updates, labels, names)[0])
        return merge_params(trained, frozen), state

    @jax.jit
    def full_step(params: Tree, state: Any) -> tuple[Tree, Any]:
        updates, state = transform.update(jax.grad(loss)(params, {}), state, params, **arguments)
        return optax.apply_updates(params, updates), state

    state = transform.init(params)
    jax.tree.map(np.testing.assert_array_equal, half_step(params, state), full_step(params, state))


def test_frozen_groups_hold_no_moments() -> None:
    params = classifier()
    labels = group_labels(params, CLASSIFIER_GROUPS)
    for n in range(-5, 0):
        names = freeze_to(CLASSIFIER_GROUPS, n)
        state = layerwise_adam(params, CLASSIFIER_GROUPS, names).init(params)
        trained = sum(p.size for p in jax.tree.leaves(split_params(params, labels, names)[0]))
        assert sum(leaf.size for leaf in jax.tree.leaves(state)) == 2 * trained + len(names)


def test_new_rates_and_momentums_compile_nothing() -> None:
    params = classifier()
    transform = layerwise_adam(params, CLASSIFIER_GROUPS, freeze_to(CLASSIFIER_GROUPS, 0), max_norm=1.0)

    @jax.jit
    def step(params: Tree, state: Any, rates: jax.Array, momentum: jax.Array) -> tuple[Tree, Any]:
        updates, state = transform.update(params, state, params, learning_rates=rates, momentum=momentum)
        return optax.apply_updates(params, updates), state

    state = transform.init(params)
    for t in range(4):
        rates = np.asarray(discriminative_rates((1e-4, one_cycle(4, 1e-2)(t)), 5), np.float32)
        params, state = step(params, state, rates, np.float32(one_cycle_momentum(4)(t)))
    assert step._cache_size() == 1


def test_a_state_saved_with_orbax_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    params = classifier()
    transform = layerwise_adam(params, CLASSIFIER_GROUPS, freeze_to(CLASSIFIER_GROUPS, -2))
    rates = jnp.full(5, 1e-2, jnp.float32)
    _, state = transform.update(classifier(seed=1), transform.init(params), params, learning_rates=rates, momentum=0.8)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "state", state)
        checkpointer.wait_until_finished()
        restored = checkpointer.restore(tmp_path / "state", jax.eval_shape(transform.init, params))
    assert jax.tree.structure(restored) == jax.tree.structure(state)
    gradients = classifier(seed=2)
    expected = transform.update(gradients, state, params, learning_rates=rates, momentum=0.7)
    got = transform.update(gradients, restored, params, learning_rates=rates, momentum=0.7)
    jax.tree.map(np.testing.assert_array_equal, got, expected)


def test_names_and_shapes_are_enough_to_make_it() -> None:
    shapes = jax.eval_shape(classifier)
    transform = layerwise_adam(shapes, CLASSIFIER_GROUPS, {"head"})
    state = jax.eval_shape(transform.init, shapes)
    assert jax.tree.structure(state) == jax.tree.structure(transform.init(classifier()))


def test_what_makes_no_sense_is_refused() -> None:
    params = classifier()
    with pytest.raises(ConfigError, match="no layer group 'lstm_7' to train: choose among embedding, lstm_0"):
        layerwise_adam(params, CLASSIFIER_GROUPS, {"head", "lstm_7"})
    with pytest.raises(ConfigError, match="no layer group is trained"):
        layerwise_adam(params, CLASSIFIER_GROUPS, set())
    with pytest.raises(ConfigError, match="max_norm is 0"):
        layerwise_adam(params, CLASSIFIER_GROUPS, {"head"}, max_norm=0.0)
    with pytest.raises(ConfigError, match="decoder/bias is in no layer group"):
        layerwise_adam(language_model(), CLASSIFIER_GROUPS, {"head"})
    transform = layerwise_adam(params, CLASSIFIER_GROUPS, {"head"})
    with pytest.raises(ConfigError, match=r"shape \(4,\): give one for each of 5"):
        transform.update(params, transform.init(params), params, learning_rates=jnp.ones(4), momentum=0.9)
