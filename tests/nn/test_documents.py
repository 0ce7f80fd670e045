from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laid_out import laid_out

from oracles.documents import document_vector
from ulmfit_jax.nn.architecture import Architecture, Dropouts
from ulmfit_jax.nn.awd_lstm import AwdLstm, Noise
from ulmfit_jax.nn.documents import EncodedDocuments, concat_pool, encode_documents
from ulmfit_jax.nn.parameters import ModuleDefinition, Tree, flatten

SIZES = Architecture(vocabulary_size=20, embedding_size=3, hidden_size=4, n_layers=1)
DEEP = Architecture(vocabulary_size=20, embedding_size=3, hidden_size=4, n_layers=3)
DEFINITION = ModuleDefinition(lambda rngs: AwdLstm(SIZES, rngs=rngs))
DEEP_DEFINITION = ModuleDefinition(lambda rngs: AwdLstm(DEEP, rngs=rngs))
BPTT, WHOLE = 4, 1440
DOCUMENT = st.integers(1, 15).flatmap(lambda n: st.lists(st.integers(2, 19), min_size=n, max_size=n))


@pytest.fixture(scope="module")
def parameters() -> Tree:
    """Larger than at the start, so that the state matters."""
    drawn, _ = DEFINITION.initialise(1)
    return drawn | {"embedding": 20 * drawn["embedding"]}


@partial(jax.jit, static_argnums=(3, 4))
def features(
    parameters: Tree, tokens: jax.Array, lengths: jax.Array, max_length: int = WHOLE, all_layers: bool = False
) -> jax.Array:
    encoded = encode_documents(DEFINITION.bind(parameters), tokens, lengths, None, max_length, all_layers)
    return concat_pool(encoded)


@settings(max_examples=25)
@given(documents=st.lists(DOCUMENT, min_size=3, max_size=3), chunks=st.sampled_from([4, 6]))
def test_a_document_s_features_are_the_same_alone_in_any_batch_and_in_any_bucket(
    parameters: Tree, documents: list[list[int]], chunks: int
) -> None:
    batch = features(parameters, *laid_out(documents, BPTT, chunks), WHOLE)
    for row, document in enumerate(documents):
        alone = features(parameters, *laid_out([document], BPTT), WHOLE)[0]
        np.testing.assert_allclose(batch[row], alone, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(batch[row], document_vector(parameters, document, BPTT), rtol=1e-5, atol=1e-5)


@settings(max_examples=15)
@given(documents=st.lists(DOCUMENT, min_size=3, max_size=3), max_length=st.sampled_from([1, 8, 11]))
@pytest.mark.parametrize("chunks", [4, 6])
def test_only_whole_chunks_within_max_length_are_pooled_though_all_are_read(
    parameters: Tree, documents: list[list[int]], max_length: int, chunks: int
) -> None:
    pooled = features(parameters, *laid_out(documents, BPTT, chunks), max_length)
    for row, document in enumerate(documents):
        expected = document_vector(parameters, document, BPTT, max_length)
        np.testing.assert_allclose(pooled[row], expected, rtol=1e-5, atol=1e-5)


@partial(jax.jit, static_argnums=3)
def deep_features(parameters: Tree, tokens: jax.Array, lengths: jax.Array, max_length: int) -> jax.Array:
    encoder = DEEP_DEFINITION.bind(parameters)
    return concat_pool(encode_documents(encoder, tokens, lengths, None, max_length, all_layers=True))


@settings(max_examples=15)
@given(documents=st.lists(DOCUMENT, min_size=3, max_size=3), max_length=st.sampled_from([8, WHOLE]))
def test_the_lower_layers_are_pooled_where_they_are_asked_for(documents: list[list[int]], max_length: int) -> None:
    parameters = jax.tree.map(lambda leaf: 4 * leaf, DEEP_DEFINITION.initialise(1)[0])
    pooled = deep_features(parameters, *laid_out(documents, BPTT, 6), max_length)
    assert pooled.shape == (3, 3 * 3 + 3 + 4 + 4)
    for row, document in enumerate(documents):
        expected = document_vector(parameters, document, BPTT, max_length, all_layers=True)
        np.testing.assert_allclose(pooled[row], expected, rtol=1e-5, atol=1e-5)


def test_fastai_s_numbers_of_pooled_positions() -> None:
    """Of 1,500 and 3,000 tokens in chunks of 72, fastai pools 1,428 and 1,416."""
    encoder = DEFINITION.bind(DEFINITION.initialise(0)[0])
    for length, pooled in [(1440, 1440), (1500, 1428), (3000, 1416), (10, 10)]:
        shapes = (jax.ShapeDtypeStruct((-(-length // 72), 72, 1), jnp.int32), jax.ShapeDtypeStruct((1,), jnp.int32))
        encoded = jax.eval_shape(partial(encode_documents, encoder), *shapes)
        assert encoded.outputs.shape[0] == min(-(-length // 72), 20) * 72
        assert encoded.outputs.shape[0] - (-length % 72) == pooled


def test_padding_is_never_read_by_the_pooling_and_filler_rows_are_zero(parameters: Tree) -> None:
    documents = [[5, 6, 7], [2, 3, 4, 5, 6, 7, 8, 9, 10], []]
    tokens, lengths = laid_out(documents, BPTT, 4)
    expected = features(parameters, tokens, lengths, WHOLE)
    garbled = np.where(tokens == 1, 17, tokens)
    np.testing.assert_array_equal(features(parameters, garbled, lengths, WHOLE), expected)
    assert not np.asarray(expected[2]).any()
    deep = features(parameters, tokens, lengths, WHOLE, True)
    np.testing.assert_array_equal(features(parameters, garbled, lengths, WHOLE, True), deep)
    assert not np.asarray(deep[2]).any()


def test_pooling_takes_the_largest_output_even_if_all_are_negative() -> None:
    outputs = -jnp.arange(1, 7, dtype=jnp.float32).reshape(3, 2, 1)
    valid = jnp.array([[True, False], [True, True], [False, False]])
    pooled = concat_pool(EncodedDocuments(outputs, valid, valid, jnp.zeros((2, 0), jnp.float32)))
    np.testing.assert_allclose(pooled, [[-3, -1, -2], [-4, -4, -4]])


def test_gradients_stay_within_a_chunk_and_out_of_the_warm_ones(parameters: Tree) -> None:
    """Each token stands once, so its row's gradient says whether gradients reach its position."""
    document = list(range(2, 18))
    tokens, lengths = laid_out([document], BPTT)

    @partial(jax.jit, static_argnums=1)
    def gradient(weights: jax.Array, max_length: int) -> jax.Array:
        pull_back = jax.vjp(lambda p: features(p, tokens, lengths, max_length), parameters)[1]
        return pull_back(weights[None])[0]["embedding"]

    def reached(part: slice, max_length: int) -> set[int]:
        weights = np.zeros(9, np.float32)
        weights[part] = 1
        return set(np.flatnonzero(np.asarray(gradient(weights, max_length)).any(axis=1)))

    last, mean = slice(0, 3), slice(6, 9)
    assert reached(last, WHOLE) == set(document[-4:])
    assert reached(mean, WHOLE) == set(document)
    assert reached(mean, 8) == set(document[-8:])
    assert reached(mean, 1) == set(document[-4:])


def test_gradients_are_those_of_the_chunks_by_hand_and_do_not_depend_on_the_bucket(parameters: Tree) -> None:
    documents = [[3, 9, 4, 2, 11, 6, 7], [5, 6, 7]]
    weights = jnp.asarray(np.random.default_rng(0).normal(size=(2, 9)), jnp.float32)

    def by_hand(parameters: Tree) -> jax.Array:
        encoder, total = DEFINITION.bind(parameters), jnp.float32(0)
        for row, document in enumerate(documents):
            state, outputs = encoder.initial_state(1), []
            for start in range(0, len(document), BPTT):
                chunk = jnp.array(document[start : start + BPTT], jnp.int32)[:, None]
                chunk_outputs, state = encoder(chunk, jax.lax.stop_gradient(state))
                outputs.append(chunk_outputs[:, 0])
            joined = jnp.concatenate(outputs)
            vector = jnp.concatenate([joined[-1], joined.max(axis=0), joined.mean(axis=0)])
            total = total + (weights[row] * vector).sum()
        return total

    expected = flatten(jax.jit(jax.grad(by_hand))(parameters))
    for chunks in (2, 4):
        batch = laid_out(documents, BPTT, chunks)
        total = jax.jit(jax.grad(lambda p, batch=batch: (weights * features(p, *batch, WHOLE)).sum()))
        gradients = total(parameters)
        for path, gradient in flatten(gradients).items():
            np.testing.assert_allclose(gradient, expected[path], rtol=1e-4, atol=1e-6, err_msg=path)


def test_each_chunk_draws_its_own_masks(parameters: Tree) -> None:
    """With the input of every chunk the same and nothing remembered, only the masks can differ."""
    layer = parameters["lstm_0"]
    forgetful = {
        "recurrent_kernel": jnp.zeros_like(layer["recurrent_kernel"]),
        "input_bias": layer["input_bias"].at[3:6].set(-100),
    }
    tokens, lengths = laid_out([[5] * 12], BPTT)
    encoder = DEFINITION.bind(parameters | {"lstm_0": layer | forgetful})
    noise = Noise(jax.random.key(0), Dropouts(input=0.5), np.zeros(1, np.int32))
    for drawn, chunks_agree in [(None, True), (noise, False)]:
        outputs = np.asarray(encode_documents(encoder, tokens, lengths, drawn).outputs).reshape(3, BPTT, 3)
        np.testing.assert_allclose(outputs[:, 1:], outputs[:, :-1], atol=1e-6)
        assert np.allclose(outputs, outputs[0], atol=1e-4) == chunks_agree


@pytest.mark.parametrize("lengths", [(9, 7, 3, 1), (1, 9, 3, 0), (4, 4, 4, 4)])
def test_groups_of_rows_that_are_skipped_by_themselves_change_nothing(
    parameters: Tree, monkeypatch: pytest.MonkeyPatch, lengths: tuple[int, ...]
) -> None:
    """With all dropouts, whose masks belong to a row, or to a chunk and all its rows."""
    batch = laid_out([list(range(2, 2 + length)) for length in lengths], BPTT, 4)
    noise = Noise(jax.random.key(0), Dropouts(0.1, 0.1, 0.1, 0.1, 0.5), np.arange(4, dtype=np.int32))
    weights = np.random.default_rng(0).normal(size=(4, 9)).astype(np.float32)

    def total(parameters: Tree) -> jax.Array:
        return (weights * concat_pool(encode_documents(DEFINITION.bind(parameters), *batch, noise, WHOLE))).sum()

    results = []
    for rows in (3, 2, 1):  # 3 does not divide 4: one group
        monkeypatch.setattr("ulmfit_jax.nn.documents.GROUP_ROWS", rows)
        results.append(jax.jit(jax.value_and_grad(lambda parameters: total(parameters)))(parameters))
    (whole, whole_gradients), *grouped = results
    for value, gradients in grouped:
        assert float(value) == pytest.approx(float(whole), rel=1e-5)
        for path, gradient in flatten(gradients).items():
            np.testing.assert_allclose(gradient, flatten(whole_gradients)[path], rtol=1e-4, atol=1e-6, err_msg=path)
