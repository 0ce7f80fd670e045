"""What is handed to cuDNN: JAX's own plain twin of the primitive, on the packed weights, is the recurrence."""

from __future__ import annotations

from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import rnn

from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.cudnn import cudnn_layer
from ulmfit_jax.nn.lstm_state import LstmState
from ulmfit_jax.nn.recurrence import recurrence_reference


def plain_twin(x, h_0, c_0, weights, seq_lengths, input_size, hidden_size, num_layers, dropout, bidirectional, _):  # type: ignore[no-untyped-def]
    """`rnn.lstm_ref`, called as `rnn.lstm` is."""
    sizes = input_size, hidden_size, num_layers, bidirectional
    w_ih, w_hh, b_ih, b_hh = rnn.unpack_lstm_weights(weights, *sizes)
    assert dropout == 0.0
    return rnn.lstm_ref(x, h_0, c_0, w_ih, w_hh, b_ih, b_hh, seq_lengths, *sizes[:3], 0.0, bidirectional)


def test_the_layer_is_the_recurrence() -> None:
    random = np.random.default_rng(0)

    def drawn(*shape: int) -> jax.Array:
        return jnp.asarray(random.normal(size=shape), jnp.float32)

    time, batch, features, hidden = 6, 3, 4, 5
    inputs, state = drawn(time, batch, features), LstmState(drawn(batch, hidden), drawn(batch, hidden))
    weights = drawn(features, 4 * hidden), drawn(hidden, 4 * hidden), drawn(4 * hidden), drawn(4 * hidden)
    weighting = drawn(time, batch, hidden)

    def by_cudnn(inputs: jax.Array, state: LstmState, *weights: jax.Array) -> jax.Array:
        outputs, last = cudnn_layer(inputs, *weights, state)
        return (outputs * weighting).sum() + (last.hidden * last.cell).sum()

    def by_scan(inputs: jax.Array, state: LstmState, *weights: jax.Array) -> jax.Array:
        input_kernel, recurrent_kernel, input_bias, recurrent_bias = weights
        projected = inputs @ input_kernel + (input_bias + recurrent_bias)[None, None]
        outputs, last = recurrence_reference(projected, recurrent_kernel, state)
        return (outputs * weighting).sum() + (last.hidden * last.cell).sum()

    arguments = tuple(range(6))
    with (
        mock.patch.object(rnn, "lstm", plain_twin),
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
    ):
        found = jax.value_and_grad(by_cudnn, arguments)(inputs, state, *weights)
    expected = jax.value_and_grad(by_scan, arguments)(inputs, state, *weights)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(
    ("reset_state", "backend", "sentence"),
    [
        (False, "cudnn", "no NVIDIA GPU"),
        (True, "cudnn", "cannot set states to zero"),
        (False, "triton", "choose one of scan, cudnn"),
    ],
)
def test_where_it_cannot_run_it_is_refused(reset_state: bool, backend: str, sentence: str) -> None:
    from training.tiny_runs import language_model_task

    with pytest.raises(ConfigError, match=sentence):
        language_model_task(reset_state=reset_state, backend=backend)
