from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laid_out import laid_out

from oracles.documents import penalties
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.awd_lstm import AwdLstm
from ulmfit_jax.nn.documents import EncodedDocuments, activation_penalties, encode_documents
from ulmfit_jax.nn.parameters import ModuleDefinition, Tree, flatten

SIZES = Architecture(vocabulary_size=20, embedding_size=3, hidden_size=4, n_layers=1)
DEFINITION = ModuleDefinition(lambda rngs: AwdLstm(SIZES, rngs=rngs))
BPTT = 4
DOCUMENT = st.integers(1, 15).flatmap(lambda n: st.lists(st.integers(2, 19), min_size=n, max_size=n))


@pytest.fixture(scope="module")
def parameters() -> Tree:
    drawn, _ = DEFINITION.initialise(1)
    return drawn | {"embedding": 20 * drawn["embedding"]}


@partial(jax.jit, static_argnums=(3, 4, 5))
@partial(jax.value_and_grad)
def penalty(
    parameters: Tree, tokens: jax.Array, lengths: jax.Array, activation: float, temporal: float, max_length: int
) -> jax.Array:
    encoded = encode_documents(DEFINITION.bind(parameters), tokens, lengths, None, max_length)
    return activation_penalties(encoded, activation, temporal)


@settings(max_examples=15)
@given(documents=st.lists(DOCUMENT, min_size=3, max_size=3), max_length=st.sampled_from([8, 1440]))
def test_penalties_are_the_twin_s_in_every_bucket(
    parameters: Tree, documents: list[list[int]], max_length: int
) -> None:
    activation, temporal = penalties(parameters, documents, BPTT, max_length)
    gradients = []
    for chunks in (4, 6):
        batch = laid_out(documents, BPTT, chunks)
        value, gradient = penalty(parameters, *batch, 2.0, 1.0, max_length)
        assert float(value) == pytest.approx(2 * activation + temporal, rel=1e-4, abs=1e-7)
        gradients.append(flatten(gradient))
    for path, gradient in gradients[0].items():
        np.testing.assert_allclose(gradients[1][path], gradient, rtol=1e-4, atol=1e-6, err_msg=path)


def test_short_documents_in_a_short_chunk_are_penalised_as_in_a_whole_one(parameters: Tree) -> None:
    documents = [[5, 7, 9], [11], [3, 4]]
    expected, gradient = penalty(parameters, *laid_out(documents, BPTT, 2), 2.0, 1.0, 8)
    assert float(expected) > 0
    for steps in (3, 4):
        value, found = penalty(parameters, *laid_out(documents, steps, 1), 2.0, 1.0, 8)
        assert float(value) == pytest.approx(float(expected), rel=1e-5)
        for path, array in flatten(found).items():
            np.testing.assert_allclose(array, flatten(gradient)[path], rtol=1e-4, atol=1e-7, err_msg=path)


def test_each_penalty_has_its_factor() -> None:
    outputs = np.random.default_rng(0).normal(size=(4, 2, 3)).astype(np.float32)
    everywhere = jnp.ones((4, 2), bool)
    documents = EncodedDocuments(jnp.asarray(outputs), everywhere, everywhere, jnp.zeros((2, 0), jnp.float32))
    activation, temporal = (outputs**2).mean(), (np.diff(outputs, axis=0) ** 2).mean()
    assert float(activation_penalties(documents, 2.0, 0.0)) == pytest.approx(2 * activation, rel=1e-5)
    assert float(activation_penalties(documents, 0.0, 3.0)) == pytest.approx(3 * temporal, rel=1e-5)
