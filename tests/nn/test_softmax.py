from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracles.cross_entropy import tied_cross_entropy
from programs import largest_array
from ulmfit_jax.nn import softmax
from ulmfit_jax.nn.softmax import logits, tied_softmax_loss, tied_softmax_scores

VOCABULARY, FEATURES, CHUNK, TILE = 9, 3, 4, 2


@pytest.fixture(autouse=True, scope="module")
def _small_chunks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(softmax, "CHUNK_TOKENS", CHUNK)
        patch.setattr(softmax, "TILE_WORDS", TILE)
        patch.setattr(softmax, "LANES", 1)
        yield


def drawn(seed: int, tokens: int, ignored: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Hidden states, embedding, bias and targets, of which a share of `ignored` is -1."""
    random = np.random.default_rng(seed)
    shapes = [(tokens, FEATURES), (VOCABULARY, FEATURES), (VOCABULARY,)]
    hidden, embedding, bias = (2 * random.normal(size=shape).astype(np.float32) for shape in shapes)
    targets = random.integers(0, VOCABULARY, tokens).astype(np.int32)
    return hidden, embedding, bias, np.where(random.random(tokens) < ignored, -1, targets).astype(np.int32)


def plain_loss(hidden: jax.Array, embedding: jax.Array, bias: jax.Array, targets: jax.Array) -> jax.Array:
    scored = targets >= 0
    log_probabilities = jax.nn.log_softmax(hidden @ embedding.T + bias[None])
    picked = jnp.take_along_axis(log_probabilities, jnp.maximum(targets, 0)[:, None], axis=1)[:, 0]
    return -jnp.where(scored, picked, jnp.float32(0)).sum() / jnp.maximum(scored.sum(dtype=jnp.int32), 1).astype(
        jnp.float32
    )


fast_and_gradients = jax.jit(jax.value_and_grad(tied_softmax_loss, argnums=(0, 1, 2)))
plain_and_gradients = jax.jit(jax.value_and_grad(plain_loss, argnums=(0, 1, 2)))


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    tokens=st.sampled_from([1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 3]),
    ignored=st.sampled_from([0.0, 0.4, 1.0]),
)
def test_loss_and_gradients_are_the_plain_ones(seed: int, tokens: int, ignored: float) -> None:
    arrays = drawn(seed, tokens, ignored)
    loss, gradients = fast_and_gradients(*arrays)
    plain, plain_gradients = plain_and_gradients(*arrays)
    hidden, embedding, bias = (array.astype(np.float64) for array in arrays[:3])
    twin, *twin_gradients = tied_cross_entropy(hidden, embedding, bias, arrays[3])
    np.testing.assert_allclose([loss, loss], [plain, twin], rtol=1e-5, atol=1e-6)
    for ours, plains, twins in zip(gradients, plain_gradients, twin_gradients, strict=True):
        np.testing.assert_allclose(ours, plains, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(ours, twins, rtol=1e-4, atol=1e-5)
    assert not np.asarray(gradients[0])[arrays[3] < 0].any()


def test_the_loss_without_gradients_is_the_same_number() -> None:
    arrays = drawn(0, 2 * CHUNK + 3, 0.4)
    np.testing.assert_allclose(tied_softmax_loss(*arrays), fast_and_gradients(*arrays)[0], rtol=1e-6)


def test_gradients_scale_with_what_comes_after_the_loss() -> None:
    arrays = drawn(1, 2 * CHUNK + 3, 0.4)
    tripled = jax.grad(lambda *args: 3 * tied_softmax_loss(*args, arrays[3]), argnums=(0, 1, 2))(*arrays[:3])
    for ours, single in zip(tripled, fast_and_gradients(*arrays)[1], strict=True):
        np.testing.assert_allclose(ours, 3 * single, rtol=1e-5)


def test_scores_are_sums_over_the_tokens_that_count() -> None:
    hidden, embedding, bias, targets = drawn(2, 2 * CHUNK + 3, 0.4)
    best = np.asarray(logits(hidden, embedding, bias)).argmax(axis=1)
    targets[:3] = best[:3]
    scores = tied_softmax_scores(hidden, embedding, bias, targets)
    scored = targets >= 0
    assert int(scores.tokens) == scored.sum()
    assert int(scores.correct) == (best == targets)[scored].sum() >= 3
    assert float(scores.loss) == pytest.approx(
        float(plain_loss(hidden, embedding, bias, targets)) * scored.sum(), rel=1e-5
    )


def test_a_padding_entry_with_a_bias_of_minus_infinity_takes_no_probability() -> None:
    hidden, embedding, bias, targets = drawn(3, CHUNK, 0.0)
    bias[-1], targets[:] = -np.inf, 0
    loss, gradients = fast_and_gradients(hidden, embedding, bias, targets)
    short, short_gradients = plain_and_gradients(hidden, embedding[:-1], bias[:-1], targets)
    assert float(loss) == pytest.approx(float(short), rel=1e-5)
    np.testing.assert_allclose(gradients[0], short_gradients[0], rtol=1e-4, atol=1e-6)
    assert not np.asarray(gradients[1])[-1].any()


def test_no_array_of_tokens_times_vocabulary_is_made() -> None:
    arrays = drawn(4, 10 * CHUNK, 0.4)
    fast = jax.make_jaxpr(jax.value_and_grad(tied_softmax_loss, argnums=(0, 1, 2)))(*arrays)
    plain = jax.make_jaxpr(jax.value_and_grad(plain_loss, argnums=(0, 1, 2)))(*arrays)
    assert largest_array(plain) == 10 * CHUNK * VOCABULARY
    assert largest_array(fast) == 10 * CHUNK * FEATURES > CHUNK * VOCABULARY


def test_of_equal_scores_the_first_word_is_predicted_whatever_its_tile() -> None:
    zeros = np.zeros((CHUNK, FEATURES), np.float32), np.zeros((VOCABULARY, FEATURES), np.float32)
    targets = np.asarray([0, 1, 2, VOCABULARY - 1], np.int32)
    assert int(tied_softmax_scores(*zeros, np.zeros(VOCABULARY, np.float32), targets).correct) == 1


def test_words_that_are_ruled_out_may_fill_a_tile() -> None:
    hidden, embedding, bias, targets = drawn(5, CHUNK, 0.0)
    bias[:TILE], bias[-TILE:], targets[:] = -np.inf, -np.inf, VOCABULARY // 2
    loss, gradients = fast_and_gradients(hidden, embedding, bias, targets)
    plain, plain_gradients = plain_and_gradients(hidden, embedding, bias, targets)
    assert float(loss) == pytest.approx(float(plain), rel=1e-5)
    for ours, plains in zip(gradients, plain_gradients, strict=True):
        np.testing.assert_allclose(ours, plains, rtol=1e-4, atol=1e-6)


def test_the_vocabulary_is_cut_into_equal_tiles_and_the_filler_has_no_probability() -> None:
    embedding, bias = drawn(6, 1, 0.0)[1:3]
    tiles = softmax._tiles(jnp.asarray(embedding), jnp.asarray(bias), jnp.float32)
    assert tiles.embedding.shape == (5, TILE, FEATURES)
    assert np.isneginf(np.asarray(tiles.bias).reshape(-1)[VOCABULARY:]).all()
