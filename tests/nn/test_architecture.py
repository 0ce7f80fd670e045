from __future__ import annotations

import math

import jax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.architecture import (
    CLASSIFIER_DROPOUTS,
    LANGUAGE_MODEL_DROPOUTS,
    PRESETS,
    Architecture,
    Dropouts,
    preset,
)
from ulmfit_jax.nn.awd_lstm import LanguageModelNetwork
from ulmfit_jax.nn.parameters import ModuleDefinition, flatten

SIZES = st.integers(1, 40)


@settings(max_examples=10)
@given(vocabulary=SIZES, embedding=SIZES, hidden=SIZES, layers=st.integers(1, 4))
def test_parameter_count_is_that_of_the_network(vocabulary: int, embedding: int, hidden: int, layers: int) -> None:
    architecture = Architecture(vocabulary, embedding, hidden, layers)
    definition = ModuleDefinition(lambda rngs: LanguageModelNetwork(architecture, rngs=rngs))
    arrays = jax.eval_shape(lambda: definition.initialise(0)[0])
    assert architecture.parameter_count() == sum(math.prod(array.shape) for array in flatten(arrays).values())


def test_the_published_sizes() -> None:
    fastai = preset("ulmfit", 60_000)
    assert fastai.layer_sizes() == [(400, 1152), (1152, 1152), (1152, 400)]
    assert fastai.parameter_count() == pytest.approx(44.4e6, rel=0.01)
    assert preset("small").parameter_count() <= 10e6
    assert set(PRESETS) == {"ulmfit", "small", "tiny"}


def test_sizes_survive_their_dictionary() -> None:
    assert Architecture(**preset("small", 100).to_dict()) == preset("small", 100)


@pytest.mark.parametrize(("name", "value"), [("hidden_size", 0), ("n_layers", -1), ("embedding_size", 2.5)])
def test_a_size_that_is_none_is_named(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{name} is {value}"):
        Architecture(**({"vocabulary_size": 10} | {name: value}))  # type: ignore[arg-type]


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'large'.*ulmfit, small, tiny"):
        preset("large")


def test_dropout_rates_of_fastai_and_their_scaling() -> None:
    language_model, classifier, halved = LANGUAGE_MODEL_DROPOUTS, CLASSIFIER_DROPOUTS, CLASSIFIER_DROPOUTS.scaled(0.5)
    assert language_model == Dropouts(output=0.1, hidden=0.15, input=0.25, embedding=0.02, weight=0.2)
    assert classifier == Dropouts(output=0.4, hidden=0.3, input=0.4, embedding=0.05, weight=0.5)
    assert halved == Dropouts(output=0.2, hidden=0.15, input=0.2, embedding=0.025, weight=0.25)


def test_a_rate_outside_its_range_is_named() -> None:
    with pytest.raises(ConfigError, match=r"weight is 1\.0.*drop_mult"):
        CLASSIFIER_DROPOUTS.scaled(2.0)
    with pytest.raises(ConfigError, match=r"input is -0\.1"):
        Dropouts(input=-0.1)
