"""An LSTM layer by NVIDIA's cuDNN, through `jax.experimental.rnn`: the same numbers as the scan, on NVIDIA GPUs alone.

cuDNN takes all weights of a layer as one vector and knows nothing of weight drop: the recurrent matrix is masked before
it is packed. It runs in float32 with the operands of products rounded to TF32 unless the precision is the highest, and
cannot set states to zero within a window.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array, lax

from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.lstm_state import LstmState

BACKENDS = ("scan", "cudnn")
"""What can run a layer over time: the scans of `ulmfit_jax.nn.recurrence`, everywhere, or cuDNN."""


def cudnn_layer(
    inputs: Array,
    input_kernel: Array,
    recurrent_kernel: Array,
    input_bias: Array,
    recurrent_bias: Array,
    state: LstmState,
    precision: lax.Precision | None = None,
) -> tuple[Array, LstmState]:
    """Run an LSTM layer over time.

    Args:
        inputs: `[time, batch, in]` float32.
        input_kernel: `[in, 4 * hidden]`, gates in the order i, f, g, o.
        recurrent_kernel: `[hidden, 4 * hidden]`, weight drop applied.
        input_bias: `[4 * hidden]`, and `recurrent_bias` as well.
        recurrent_bias: see there.
        state: state before the first step, two arrays `[batch, hidden]`.
        precision: `lax.Precision.HIGHEST` for float32, None for TF32.

    Returns:
        The hidden states `[time, batch, hidden]` and the state after the last step.
    """
    from jax.experimental import rnn  # experimental: nobody else depends on its place

    time, batch, features = inputs.shape
    hidden = recurrent_kernel.shape[0]
    outputs, last_hidden, last_cell = rnn.lstm(
        inputs.swapaxes(0, 1),
        state.hidden[None],
        state.cell[None],
        packed(input_kernel, recurrent_kernel, input_bias, recurrent_bias),
        jnp.full((batch,), time, jnp.int32),
        features,
        hidden,
        1,
        0.0,
        False,
        precision,
    )
    return outputs.swapaxes(0, 1), LstmState(last_hidden[0], last_cell[0])


def packed(input_kernel: Array, recurrent_kernel: Array, input_bias: Array, recurrent_bias: Array) -> Array:
    """The weights of one layer as cuDNN's vector: both matrices with rows for the gates, then both biases."""
    matrices = [jnp.ravel(kernel.T) for kernel in (input_kernel, recurrent_kernel)]
    return jnp.concatenate([*matrices, input_bias, recurrent_bias])


def check_backend(backend: str, reset_state: bool) -> None:
    """Raise a ConfigError unless `backend` is one of `BACKENDS` and can run here, with states that are set to zero
    within a window (`reset_state`) or without."""
    if backend not in BACKENDS:
        raise ConfigError(f"backend is {backend!r}: choose one of {', '.join(BACKENDS)}")
    if backend == "cudnn" and reset_state:
        raise ConfigError("cuDNN cannot set states to zero within a batch: give reset_state=False, or backend='scan'")
    if backend == "cudnn" and not _has_nvidia_gpu():
        raise ConfigError(f"backend is 'cudnn', and there is no NVIDIA GPU but {jax.devices()[0].device_kind}")


def _has_nvidia_gpu() -> bool:
    return jax.default_backend() == "gpu" and "nvidia" in jax.devices()[0].device_kind.lower()
