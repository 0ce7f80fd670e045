from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oracles.cross_entropy import tied_cross_entropy
from oracles.documents import encode
from ulmfit_jax.nn import awd_lstm, classifier
from ulmfit_jax.nn.architecture import Architecture, Dropouts
from ulmfit_jax.nn.awd_lstm import AwdLstm, EncoderState, LanguageModelNetwork, Noise, initial_state
from ulmfit_jax.nn.parameters import ModuleDefinition, Tree, flatten
from ulmfit_jax.text.rules import PAD_ID

SIZES = Architecture(vocabulary_size=13, embedding_size=3, hidden_size=5, n_layers=2)
ENCODER = ModuleDefinition(lambda rngs: AwdLstm(SIZES, rngs=rngs))
NETWORK = ModuleDefinition(lambda rngs: LanguageModelNetwork(SIZES, rngs=rngs))
TOKENS = np.random.default_rng(0).integers(0, 13, (8, 4)).astype(np.int32)
ROWS = np.arange(4, dtype=np.int32)


@pytest.fixture(scope="module")
def parameters() -> Tree:
    """Those of a language model, larger than at the start, so that every layer matters."""
    drawn, _ = NETWORK.initialise(3)
    drawn["encoder"]["embedding"] *= 20
    drawn["decoder"]["bias"] = jnp.linspace(-1, 1, 13, dtype=jnp.float32)
    return drawn


@cache
def program(rates: Dropouts) -> Callable[..., tuple[jax.Array, EncoderState]]:
    """The compiled encoder with these dropouts."""

    @jax.jit
    def run(parameters: Tree, tokens: jax.Array, state: EncoderState, key: jax.Array, rows: jax.Array) -> Any:
        return ENCODER.bind(parameters["encoder"])(tokens, state, Noise(key, rates, rows))

    return run


@jax.jit
def encoded(parameters: Tree, tokens: jax.Array, state: EncoderState) -> tuple[jax.Array, EncoderState]:
    """The encoder without noise."""
    return ENCODER.bind(parameters["encoder"])(tokens, state)


def with_noise(
    parameters: Tree, tokens: np.ndarray, seed: int = 0, rows: np.ndarray = ROWS, **rates: float
) -> np.ndarray:
    """Outputs with the dropouts of these rates, from the zero state."""
    state = initial_state(SIZES, tokens.shape[1])
    return np.asarray(program(Dropouts(**rates))(parameters, tokens, state, jax.random.key(seed), rows)[0])


def test_outputs_are_those_of_the_numpy_twin(parameters: Tree) -> None:
    outputs, _ = encoded(parameters, TOKENS, initial_state(SIZES, 4))
    for row in range(4):
        np.testing.assert_allclose(outputs[:, row], encode(parameters["encoder"], TOKENS[:, row]), rtol=1e-5, atol=1e-6)


def test_the_state_carried_over_two_halves_gives_one_pass(parameters: Tree) -> None:
    outputs, final = encoded(parameters, TOKENS, initial_state(SIZES, 4))
    first, state = encoded(parameters, TOKENS[:4], initial_state(SIZES, 4))
    second, state = encoded(parameters, TOKENS[4:], state)
    np.testing.assert_allclose(np.concatenate([first, second]), outputs, rtol=1e-6, atol=1e-7)
    jax.tree.map(lambda ours, whole: np.testing.assert_allclose(ours, whole, rtol=1e-6, atol=1e-7), state, final)


def test_without_noise_a_pass_is_deterministic_and_equals_noise_at_rate_zero(parameters: Tree) -> None:
    outputs, again = (encoded(parameters, TOKENS, initial_state(SIZES, 4))[0] for _ in range(2))
    np.testing.assert_array_equal(outputs, again)
    np.testing.assert_allclose(with_noise(parameters, TOKENS), outputs, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("place", ["embedding", "input", "weight", "hidden"])
def test_each_dropout_is_one_mask_for_all_steps_and_another_for_each_key(parameters: Tree, place: str) -> None:
    rates = {place: 0.5}
    whole = with_noise(parameters, TOKENS, **rates)
    state, steps = initial_state(SIZES, 4), []
    for t in range(len(TOKENS)):
        outputs, state = program(Dropouts(**rates))(parameters, TOKENS[t : t + 1], state, jax.random.key(0), ROWS)
        steps.append(outputs)
    np.testing.assert_allclose(whole, np.concatenate(steps), rtol=1e-5, atol=1e-6)
    assert not np.allclose(whole, with_noise(parameters, TOKENS, seed=1, **rates), atol=1e-3)
    assert not np.allclose(whole, with_noise(parameters, TOKENS), atol=1e-3)


@pytest.mark.parametrize(
    ("place", "shared"), [("embedding", True), ("weight", True), ("input", False), ("hidden", False)]
)
def test_what_the_rows_of_a_batch_share(parameters: Tree, place: str, shared: bool) -> None:
    outputs = with_noise(parameters, np.repeat(TOKENS[:, :1], 4, axis=1), **{place: 0.5})
    assert np.allclose(outputs, outputs[:, :1], atol=1e-6) == shared


def test_a_row_s_masks_do_not_depend_on_how_the_batch_is_split(parameters: Tree) -> None:
    rates = {"embedding": 0.1, "input": 0.4, "weight": 0.5, "hidden": 0.3}
    whole = with_noise(parameters, TOKENS, **rates)
    halves = [with_noise(parameters, TOKENS[:, half], rows=ROWS[half], **rates) for half in (slice(0, 2), slice(2, 4))]
    np.testing.assert_allclose(np.concatenate(halves, axis=1), whole, rtol=1e-5, atol=1e-6)


def test_embedding_dropout_zeroes_whole_rows_of_the_matrix_and_scales_the_others(parameters: Tree) -> None:
    vocabulary = np.arange(13, dtype=np.int32)[None]
    alone = with_noise(parameters, vocabulary, rows=vocabulary[0], embedding=0.5)[0]
    kept = ~np.isclose(alone, encode(_with_embedding(parameters, np.zeros(13)), [0])[0], atol=1e-6).all(axis=1)
    assert 0 < kept.sum() < 13
    masked = _with_embedding(parameters, np.where(kept, 2.0, 0.0))
    expected = np.stack([encode(masked, TOKENS[:, row]) for row in range(4)], axis=1)
    np.testing.assert_allclose(with_noise(parameters, TOKENS, embedding=0.5), expected, rtol=1e-5, atol=1e-6)


def _with_embedding(parameters: Tree, mask: np.ndarray) -> Tree:
    return parameters["encoder"] | {"embedding": np.asarray(parameters["encoder"]["embedding"]) * mask[:, None]}


def test_weight_drop_acts_on_the_recurrent_matrices_alone(parameters: Tree) -> None:
    plain, dropped = with_noise(parameters, TOKENS), with_noise(parameters, TOKENS, weight=0.5)
    np.testing.assert_allclose(dropped[0], plain[0], rtol=1e-6, atol=1e-7)
    assert not np.allclose(dropped[1], plain[1], atol=1e-4)


def test_looking_padding_up_gives_its_row_no_gradient(parameters: Tree) -> None:
    """The tied decoder still trains the row: `test_softmax`."""
    tokens = np.where(TOKENS == 5, PAD_ID, TOKENS)
    assert (tokens == PAD_ID).any()

    def total(encoder: Tree) -> jax.Array:
        return ENCODER.bind(encoder)(tokens, initial_state(SIZES, 4))[0].sum()

    reached = np.asarray(jax.grad(total)(parameters["encoder"])["embedding"]).any(axis=1)
    assert set(np.flatnonzero(reached)) == set(tokens.ravel()) - {PAD_ID}


def test_output_dropout_is_not_the_encoder_s(parameters: Tree) -> None:
    np.testing.assert_array_equal(with_noise(parameters, TOKENS, output=0.9), with_noise(parameters, TOKENS))


def test_hidden_dropout_lies_between_layers_only() -> None:
    single = Architecture(vocabulary_size=13, embedding_size=3, hidden_size=5, n_layers=1)
    definition = ModuleDefinition(lambda rngs: AwdLstm(single, rngs=rngs))
    encoder = definition.bind(definition.initialise(0)[0])
    noise = Noise(jax.random.key(0), Dropouts(hidden=0.9), ROWS)
    dropped, plain = (encoder(TOKENS, initial_state(single, 4), n)[0] for n in (noise, None))
    np.testing.assert_array_equal(dropped, plain)


def test_the_language_model_s_loss_is_the_twin_s_with_its_penalties(parameters: Tree) -> None:
    targets = np.random.default_rng(1).integers(0, 13, TOKENS.shape).astype(np.int32)
    state, noise = initial_state(SIZES, 4), Noise(jax.random.key(0), Dropouts(), ROWS)
    network = NETWORK.bind(parameters)
    loss, (cross_entropy, _) = network.loss(TOKENS, targets, state, noise, 2.0, 1.0)
    outputs = np.stack([encode(parameters["encoder"], TOKENS[:, row]) for row in range(4)], axis=1)
    embedding, bias = (
        np.asarray(a, np.float64) for a in (parameters["encoder"]["embedding"], parameters["decoder"]["bias"])
    )
    expected = tied_cross_entropy(outputs.reshape(-1, 3), embedding, bias, targets.reshape(-1))[0]
    penalties = 2 * (outputs**2).mean() + (np.diff(outputs, axis=0) ** 2).mean()
    np.testing.assert_allclose([cross_entropy, loss], [expected, expected + penalties], rtol=1e-5)
    scores, _ = network.scores(TOKENS, targets, state)
    np.testing.assert_allclose(scores.loss / 32, expected, rtol=1e-5)
    assert int(scores.tokens) == 32
    following, _ = network.next_token_logits(TOKENS, state)
    np.testing.assert_allclose(following, outputs[-1] @ embedding.T + bias, rtol=1e-4, atol=1e-5)


def test_the_decoder_uses_the_undropped_embedding_and_its_own_dropout(parameters: Tree) -> None:
    """With outputs of zero the scores are the biases, whichever rows of the embedding are dropped on the way in."""
    targets, state = np.zeros_like(TOKENS), initial_state(SIZES, 4)

    def loss(parameters: Tree, rates: Dropouts) -> jax.Array:
        noise = Noise(jax.random.key(0), rates, ROWS)
        return NETWORK.bind(parameters).loss(TOKENS, targets, state, noise, 0.0, 0.0)[0]

    silent = parameters | {
        "encoder": parameters["encoder"] | {"lstm_1": jax.tree.map(jnp.zeros_like, parameters["encoder"]["lstm_1"])}
    }
    bias = np.asarray(parameters["decoder"]["bias"], np.float64)
    expected = np.log(np.exp(bias).sum()) - bias[0]
    assert float(loss(silent, Dropouts(embedding=0.5))) == pytest.approx(expected, rel=1e-5)
    assert abs(float(loss(parameters, Dropouts(output=0.5))) - float(loss(parameters, Dropouts()))) > 1e-3


def test_penalties_act_on_the_dropped_and_on_the_undropped_outputs(parameters: Tree) -> None:
    state = initial_state(SIZES, 4)

    def penalty(rate: float, activation: float, temporal: float) -> float:
        noise = Noise(jax.random.key(0), Dropouts(output=rate), ROWS)
        loss, (cross_entropy, _) = NETWORK.bind(parameters).loss(TOKENS, TOKENS, state, noise, activation, temporal)
        return float(loss - cross_entropy)

    assert penalty(0.5, 0, 1) == pytest.approx(penalty(0.0, 0, 1), rel=1e-4)
    assert penalty(0.5, 2, 0) > 1.2 * penalty(0.0, 2, 0)
    assert penalty(0.5, 0, 0) == 0


def test_every_place_in_the_network_draws_from_its_own_key(parameters: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[bytes] = []

    def recording(draw: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
        def record(key: jax.Array, *arguments: Any) -> jax.Array:
            keys.append(np.asarray(jax.random.key_data(key)).tobytes())
            return draw(key, *arguments)

        return record

    monkeypatch.setattr(awd_lstm, "locked_mask", recording(awd_lstm.locked_mask))
    monkeypatch.setattr(awd_lstm, "keep_mask", recording(awd_lstm.keep_mask))
    monkeypatch.setattr(awd_lstm, "embedding_row_mask", recording(awd_lstm.embedding_row_mask))
    monkeypatch.setattr(classifier, "locked_mask", recording(classifier.locked_mask))
    noise = Noise(jax.random.key(0), Dropouts(0.1, 0.1, 0.1, 0.1, 0.1), ROWS)
    NETWORK.bind(parameters).loss(TOKENS, TOKENS, initial_state(SIZES, 4), noise)
    head = ModuleDefinition(lambda rngs: classifier.PoolingHead(9, classifier.Head(2, (5,)), rngs=rngs))
    head.bind(*head.initialise(0))(jnp.ones((4, 9), jnp.float32), jnp.ones((4,), bool), noise)
    places = ["embedding", "input", "weight 0", "weight 1", "hidden 0", "output", "head 0", "head 1"]
    assert len(keys) == len(set(keys)) == len(places)


def test_initial_parameters_have_the_ranges_of_fastai() -> None:
    sizes = Architecture(vocabulary_size=500, embedding_size=40, hidden_size=60, n_layers=2)
    drawn, statistics = ModuleDefinition(lambda rngs: LanguageModelNetwork(sizes, rngs=rngs)).initialise(0)
    assert statistics == {}
    leaves = flatten(drawn)
    assert not leaves.pop("decoder/bias").any()
    for path, array in leaves.items():
        hidden = 60 if "lstm_0" in path else 40
        bound = 0.1 if path == "encoder/embedding" else hidden**-0.5
        variance = bound**2 / 3
        values = np.asarray(array)
        assert np.abs(values).max() <= bound, path
        assert np.abs(values).max() > 0.8 * bound, path
        assert values.var() == pytest.approx(variance, rel=0.25 if values.size < 1000 else 0.05), path
        assert abs(values.mean()) < 4 * (variance / values.size) ** 0.5, path


def test_the_seed_decides_the_parameters(parameters: Tree) -> None:
    one, (same, other) = parameters["encoder"], (NETWORK.initialise(seed)[0]["encoder"] for seed in (3, 4))
    np.testing.assert_array_equal(one["lstm_0"]["input_bias"], same["lstm_0"]["input_bias"])
    assert not np.allclose(one["lstm_0"]["input_bias"], other["lstm_0"]["input_bias"])


def test_the_parameters_have_the_field_s_names(parameters: Tree) -> None:
    layer = ["input_bias", "input_kernel", "recurrent_bias", "recurrent_kernel"]
    paths = [f"encoder/lstm_{i}/{name}" for i in range(2) for name in layer]
    assert sorted(flatten(parameters)) == sorted(["decoder/bias", "encoder/embedding", *paths])
