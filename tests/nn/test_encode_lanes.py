"""Documents in lanes against the oracle that reads one document alone."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracles.documents import document_vector
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.data.lanes import DocumentLanes
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.awd_lstm import AwdLstm
from ulmfit_jax.nn.lanes import encode_lanes, initial_carry, picked
from ulmfit_jax.nn.parameters import ModuleDefinition

SIZES = Architecture(vocabulary_size=30, embedding_size=5, hidden_size=7, n_layers=2)
LANES, BPTT = 3, 6
ENCODER = ModuleDefinition(lambda rngs: AwdLstm(SIZES, rngs=rngs))
PARAMETERS: dict[str, Any] = jax.tree.map(lambda leaf: 4 * leaf, ENCODER.initialise(0)[0])
STEP = jax.jit(
    lambda parameters, block, carry, all_layers: encode_lanes(ENCODER.bind(parameters), *block, carry, all_layers),
    static_argnums=3,
)
PICK = jax.jit(picked)


@pytest.mark.parametrize("all_layers", [False, True])
@settings(max_examples=25)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=14),
    max_length=st.integers(1, 30),
    seed=st.integers(0, 9),
)
def test_vectors_are_those_of_each_document_alone(
    all_layers: bool, lengths: list[int], max_length: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    texts = [random.integers(2, 30, length).astype(np.int32) for length in lengths]
    carry, found = initial_carry(SIZES, LANES, all_layers), {}
    for block in DocumentLanes(Corpus.from_arrays(texts), LANES, BPTT, max_length):
        vectors, carry = STEP(PARAMETERS, block[:3], carry, all_layers)
        for document, step, lane in block.finished.tolist():
            found[document] = PICK(vectors, np.array([step * LANES + lane], np.int32))[0]
    for number, text in enumerate(texts):
        expected = document_vector(PARAMETERS, text, BPTT, max_length, all_layers)
        np.testing.assert_allclose(found[number], expected, atol=1e-5)
