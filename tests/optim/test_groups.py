from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_networks import classifier, language_model

from ulmfit_jax.errors import ConfigError
from ulmfit_jax.optim.groups import (
    CLASSIFIER_GROUPS,
    LANGUAGE_MODEL_GROUPS,
    LayerGroup,
    discriminative_rates,
    freeze_to,
    group_labels,
    layer_groups,
    merge_params,
    split_params,
)

LSTM = ("input_kernel", "recurrent_kernel", "input_bias", "recurrent_bias")


def test_groups_are_in_fastais_order() -> None:
    assert [group.name for group in LANGUAGE_MODEL_GROUPS] == ["lstm_0", "lstm_1", "lstm_2", "embedding_decoder"]
    assert [group.name for group in CLASSIFIER_GROUPS] == ["embedding", "lstm_0", "lstm_1", "lstm_2", "head"]


def test_labels_of_a_language_model() -> None:
    lstms = {f"lstm_{i}": dict.fromkeys(LSTM, f"lstm_{i}") for i in range(3)}
    assert group_labels(language_model(), LANGUAGE_MODEL_GROUPS) == {
        "encoder": {"embedding": "embedding_decoder"} | lstms,
        "decoder": {"bias": "embedding_decoder"},
    }


def test_labels_of_a_classifier() -> None:
    norm = {"scale": "head", "bias": "head"}
    lstms = {f"lstm_{i}": dict.fromkeys(LSTM, f"lstm_{i}") for i in range(3)}
    assert group_labels(classifier(), CLASSIFIER_GROUPS) == {
        "encoder": {"embedding": "embedding"} | lstms,
        "head": {"norm_0": norm, "norm_1": norm, "dense_0": {"kernel": "head"}, "dense_1": {"kernel": "head"}},
    }


def test_a_prefix_ends_where_a_name_ends() -> None:
    labels = group_labels(classifier(n_layers=11), layer_groups(11, "classifier"))
    assert labels["encoder"]["lstm_10"]["input_bias"] == "lstm_10"


def test_labels_need_names_and_shapes_only() -> None:
    shapes = jax.eval_shape(classifier)
    assert group_labels(shapes, CLASSIFIER_GROUPS) == group_labels(classifier(), CLASSIFIER_GROUPS)


def test_a_parameter_in_no_group_is_named() -> None:
    params = classifier() | {"extra": {"kernel": jnp.zeros(2)}}
    with pytest.raises(ConfigError, match="extra/kernel is in no layer group"):
        group_labels(params, CLASSIFIER_GROUPS)


def test_a_parameter_in_two_groups_is_named() -> None:
    groups = (*CLASSIFIER_GROUPS, LayerGroup("norms", ("head/norm_0",)))
    with pytest.raises(ConfigError, match="head/norm_0/bias is in the layer groups head, norms"):
        group_labels(classifier(), groups)


def test_a_group_without_parameters_is_named() -> None:
    with pytest.raises(ConfigError, match=r"no parameter is in the layer group lstm_3 \(encoder/lstm_3\)"):
        group_labels(classifier(), layer_groups(4, "classifier"))


@pytest.mark.parametrize(("n_layers", "kind"), [(0, "classifier"), (3, "regressor")])
def test_unknown_networks_have_no_groups(n_layers: int, kind: str) -> None:
    with pytest.raises(ConfigError):
        layer_groups(n_layers, kind)


@pytest.mark.parametrize(
    ("n", "names"),
    [
        (0, {"embedding", "lstm_0", "lstm_1", "lstm_2", "head"}),
        (-1, {"head"}),
        (-2, {"lstm_2", "head"}),
        (3, {"lstm_2", "head"}),
        (-5, {"embedding", "lstm_0", "lstm_1", "lstm_2", "head"}),
    ],
)
def test_freeze_to(n: int, names: set[str]) -> None:
    assert freeze_to(CLASSIFIER_GROUPS, n) == names


@pytest.mark.parametrize("n", [5, -6])
def test_freeze_to_a_group_that_is_not_there(n: int) -> None:
    with pytest.raises(ConfigError, match="there are 5, give -5 to 4"):
        freeze_to(CLASSIFIER_GROUPS, n)


def test_rates_are_fastais() -> None:
    # Printed by fastai 2.8.12: `set_hyper('lr', slice(1e-2/2.6**4, 1e-2))` over 5 groups, and `slice(1e-2)`.
    by_fastai = [0.00021882987290360977, 0.0005689576695493855, 0.0014792899408284023, 0.0038461538461538455, 0.01]
    assert discriminative_rates((1e-2 / 2.6**4, 1e-2), 5) == pytest.approx(by_fastai, rel=1e-14)
    assert discriminative_rates((None, 1e-2), 5) == (0.001, 0.001, 0.001, 0.001, 0.01)
    assert discriminative_rates(1e-2, 5) == (0.01,) * 5


@given(st.floats(1e-8, 1.0), st.floats(1e-8, 1.0), st.integers(1, 9))
def test_geometric_rates(first: float, last: float, n_groups: int) -> None:
    rates = discriminative_rates([first, last], n_groups)
    assert len(rates) == n_groups
    assert rates[-1] == last
    if n_groups > 1:
        assert rates[0] == first
        factors = [b / a for a, b in pairwise(rates)]
        assert factors == pytest.approx([(last / first) ** (1 / (n_groups - 1))] * (n_groups - 1))


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), (0.0, 1.0), (None, -1.0), (1.0, None), (1.0,), (1, 2, 3)])
def test_impossible_rates_are_refused(rate: float | Sequence[float | None]) -> None:
    with pytest.raises(ConfigError, match="the learning rate is"):
        discriminative_rates(rate, 5)


@given(st.integers(-5, 4))
def test_split_and_merge_are_inverse(n: int) -> None:
    params = classifier()
    labels, names = group_labels(params, CLASSIFIER_GROUPS), freeze_to(CLASSIFIER_GROUPS, n)
    trainable, frozen = split_params(params, labels, names)
    merged = merge_params(trainable, frozen)
    assert jax.tree.structure(merged) == jax.tree.structure(params)
    assert all(a is b for a, b in zip(jax.tree.leaves(merged), jax.tree.leaves(params), strict=True))


def test_split_leaves_no_empty_branches() -> None:
    params = classifier()
    labels = group_labels(params, CLASSIFIER_GROUPS)
    trainable, frozen = split_params(params, labels, {"head"})
    assert set(trainable) == {"head"}
    assert set(frozen) == {"encoder"}
    assert split_params(params, labels, freeze_to(CLASSIFIER_GROUPS, 0))[1] == {}


def test_merging_a_parameter_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="encoder/lstm_0/input_bias is in both halves"):
        merge_params(classifier(), {"encoder": {"lstm_0": {"input_bias": jnp.zeros(8)}}})
