from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ulmfit_jax.errors import ArtifactError
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.classifier import ClassifierNetwork, Head
from ulmfit_jax.nn.parameters import ModuleDefinition, flatten, to_device, to_numpy, unflatten

SIZES = Architecture(vocabulary_size=7, embedding_size=2, hidden_size=3, n_layers=2)
DEFINITION = ModuleDefinition(lambda rngs: ClassifierNetwork(SIZES, Head(2), rngs=rngs))


def test_paths_and_their_inverse() -> None:
    tree = {"a": {"b": {"c": 1}, "d": 2}, "e": 3}
    assert flatten(tree) == {"a/b/c": 1, "a/d": 2, "e": 3}
    assert unflatten(flatten(tree)) == tree


def test_a_bound_module_holds_the_arrays_it_was_given() -> None:
    parameters, statistics = DEFINITION.initialise(0)
    parameters["encoder"]["lstm_1"]["input_bias"] += 1
    statistics["head"]["norm_0"]["mean"] += 2
    network = DEFINITION.bind(parameters, statistics)
    np.testing.assert_array_equal(network.encoder.lstm_1.input_bias[...], parameters["encoder"]["lstm_1"]["input_bias"])
    jax.tree.map(np.testing.assert_array_equal, DEFINITION.statistics_of(network), statistics)
    fresh = DEFINITION.bind(*DEFINITION.initialise(0))
    assert float(network.encoder.lstm_1.input_bias[0] - fresh.encoder.lstm_1.input_bias[0]) == 1


def test_to_numpy_and_back() -> None:
    parameters, _ = DEFINITION.initialise(0)
    arrays = to_numpy(parameters)
    assert all(type(leaf) is np.ndarray for leaf in jax.tree.leaves(arrays))
    half = jax.tree.map(lambda leaf: leaf.astype(np.float16), arrays)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(to_device(half)))
    jax.tree.map(np.testing.assert_array_equal, to_device(arrays), parameters)


def test_check_accepts_the_network_s_own_arrays() -> None:
    DEFINITION.check(*DEFINITION.initialise(0))


def test_check_names_what_is_missing() -> None:
    parameters, statistics = DEFINITION.initialise(0)
    del parameters["encoder"]["lstm_1"]["input_bias"]
    with pytest.raises(ArtifactError, match=r"somewhere: the array encoder/lstm_1/input_bias is missing"):
        DEFINITION.check(parameters, statistics, "somewhere")


def test_check_names_what_has_another_shape() -> None:
    parameters, statistics = DEFINITION.initialise(0)
    parameters["encoder"]["embedding"] = np.zeros((9, 2), np.float32)
    with pytest.raises(ArtifactError, match=r"encoder/embedding has the shape \(9, 2\).* needs \(7, 2\)"):
        DEFINITION.check(parameters, statistics)


def test_check_names_what_has_no_place() -> None:
    parameters, statistics = DEFINITION.initialise(0)
    parameters["decoder"] = {"bias": np.zeros(7, np.float32)}
    with pytest.raises(ArtifactError, match="decoder/bias has no place"):
        DEFINITION.check(parameters, statistics)


def test_check_looks_at_the_statistics_too() -> None:
    parameters, statistics = DEFINITION.initialise(0)
    del statistics["head"]["norm_1"]["variance"]
    with pytest.raises(ArtifactError, match="head/norm_1/variance is missing"):
        DEFINITION.check(parameters, statistics)
