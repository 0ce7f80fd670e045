"""The AWD-LSTM encoder (Merity et al. 2017) and the language model over it, as Flax NNX modules.

The modules make and hold the parameters; what they compute is in the pure functions of this package. Arrays are
time-major inside: tokens `[time, batch]`, features `[time, batch, features]`.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array, lax
from jax.typing import DTypeLike

from ulmfit_jax.nn.architecture import Architecture, Dropouts
from ulmfit_jax.nn.cudnn import cudnn_layer
from ulmfit_jax.nn.dropout import embedding_row_mask, keep_mask, locked_mask
from ulmfit_jax.nn.grouped_layer import grouped_layer
from ulmfit_jax.nn.lstm_state import LstmState
from ulmfit_jax.nn.products import product
from ulmfit_jax.nn.recurrence import recurrence
from ulmfit_jax.nn.softmax import TokenScores, logits, tied_softmax_loss, tied_softmax_scores

EncoderState = tuple[LstmState, ...]
"""The carried state of an encoder: one `LstmState` a layer."""

PAD_ID = 1
"""The token that fills documents up, `ulmfit_jax.text.rules.PAD_ID`; looking it up gives its row no gradient (torch's
`padding_idx`)."""


class Noise(NamedTuple):
    """What a forward pass in training draws its dropout masks from; no noise means a deterministic pass.

    Attributes:
        key: random key of this forward pass.
        dropouts: the five rates.
        rows: the rows' numbers in the global batch, `[batch]` int32 (see `ulmfit_jax.nn.dropout`).
    """

    key: Array
    dropouts: Dropouts
    rows: Array


def _uniform(rngs: nnx.Rngs, shape: tuple[int, ...], bound: float) -> nnx.Param:
    return nnx.Param(jax.random.uniform(rngs.params(), shape, jnp.float32, -bound, bound))


class LstmLayer(nnx.Module):
    """One LSTM layer with weight drop on its recurrent matrix.

    Parameters: `input_kernel` `[in, 4 * hidden]`, `recurrent_kernel` `[hidden, 4 * hidden]`, `input_bias` and
    `recurrent_bias` `[4 * hidden]`; gates in the order i, f, g, o. All are drawn from U(-1/sqrt(hidden),
    1/sqrt(hidden)), without a forget-gate bias of 1. Two biases, though only their sum acts, because PyTorch's layer,
    which fastai uses, has them: each is moved by the optimiser, and each counts in the gradient's norm.
    """

    def __init__(
        self, inputs: int, hidden: int, *, dtype: DTypeLike = jnp.float32, backend: str = "scan", rngs: nnx.Rngs
    ):
        bound = hidden**-0.5
        self.dtype, self.backend = dtype, backend
        self.input_kernel = _uniform(rngs, (inputs, 4 * hidden), bound)
        self.recurrent_kernel = _uniform(rngs, (hidden, 4 * hidden), bound)
        self.input_bias = _uniform(rngs, (4 * hidden,), bound)
        self.recurrent_bias = _uniform(rngs, (4 * hidden,), bound)

    def __call__(
        self, inputs: Array, state: LstmState, weight_mask: Array | None = None, ends: Array | None = None
    ) -> tuple[Array, LstmState]:
        """Run over `inputs` `[time, batch, in]` from `state`; `weight_mask` `[hidden, 4 * hidden]` scales the
        recurrent matrix, `ends` `[time, batch]` bool tells after which steps the state is zero.

        Returns:
            Hidden states `[time, batch, hidden]` and the state after the last step.
        """
        kernel = self.recurrent_kernel[...]
        if weight_mask is not None:
            kernel = kernel * weight_mask
        if self.backend == "cudnn":
            return cudnn_layer(
                inputs, self.input_kernel[...], kernel, self.input_bias[...], self.recurrent_bias[...], state
            )
        bias = self._bias()
        projected = product("tbi,ig->tbg", inputs, self.input_kernel[...], self.dtype) + bias[None, None]
        return recurrence(projected, kernel, state, ends, self.dtype)

    def over_groups(
        self, inputs: Array, state: LstmState, weight_mask: Array | None, active: Array
    ) -> tuple[Array, LstmState]:
        """The same, but only for the groups of rows that are `active` `[groups]` bool; zero for the others."""
        kernels = self.input_kernel[...], self._bias(), self.recurrent_kernel[...]
        return grouped_layer(inputs, *kernels, weight_mask, state, active, self.dtype)

    def _bias(self) -> Array:
        return self.input_bias[...] + self.recurrent_bias[...]


class AwdLstm(nnx.Module):
    """Embedding and LSTM layers with fastai's `AWD_LSTM` dropouts.

    Parameters: `embedding` `[vocabulary, embedding]`, drawn from U(-0.1, 0.1), and `lstm_0`, `lstm_1`, …. The operands
    of matrix products are rounded to `dtype` (`ulmfit_jax.nn.products`); everything else is float32, but for the gates
    that the backward pass of accelerators reads (`ulmfit_jax.nn.recurrence_rows`). `backend` is what runs the layers
    over time: `scan`, or `cudnn` (`ulmfit_jax.nn.cudnn`), which takes neither `ends` nor `active`.
    """

    def __init__(
        self, architecture: Architecture, *, dtype: DTypeLike = jnp.float32, backend: str = "scan", rngs: nnx.Rngs
    ):
        self.architecture = architecture
        self.embedding = _uniform(rngs, (architecture.vocabulary_size, architecture.embedding_size), 0.1)
        for index, (inputs, hidden) in enumerate(architecture.layer_sizes()):
            setattr(self, f"lstm_{index}", LstmLayer(inputs, hidden, dtype=dtype, backend=backend, rngs=rngs))

    def initial_state(self, batch: int) -> EncoderState:
        """The zero state for `batch` rows."""
        return initial_state(self.architecture, batch)

    def __call__(
        self,
        tokens: Array,
        state: EncoderState,
        noise: Noise | None = None,
        ends: Array | None = None,
        active: Array | None = None,
    ) -> tuple[Array, EncoderState]:
        """Encode `tokens` `[time, batch]` int32 from `state`, which becomes zero after the tokens where `ends`
        `[time, batch]` bool is true.

        Dropout, if `noise` is given, acts on rows of the embedding, on the embedded tokens, on the recurrent matrices
        and between the layers; not on the output, whose dropout belongs to the decoder or the head.

        Where `active` `[groups]` bool is given, only those groups of rows are encoded, and the others' outputs and
        states are zero; `ends` cannot be given then.

        Returns:
            Outputs of the last layer `[time, batch, embedding]` and the state after the last step.
        """
        outputs, state = self.every_layer(tokens, state, noise, ends, active)
        return outputs[-1], state

    def every_layer(
        self,
        tokens: Array,
        state: EncoderState,
        noise: Noise | None = None,
        ends: Array | None = None,
        active: Array | None = None,
        perturbation: Array | None = None,
    ) -> tuple[tuple[Array, ...], EncoderState]:
        """The same, with the outputs of the embedding and of each layer, before the dropout that the next one sees:
        `[time, batch, features]` each. `perturbation` `[time, batch, embedding]` is added to the embedded tokens."""
        features = jnp.take(self.embedding[...], tokens, axis=0)
        features = jnp.where((tokens == PAD_ID)[..., None], lax.stop_gradient(features), features)
        if perturbation is not None:
            features = features + perturbation
        outputs = [features]
        if noise is not None:
            features = self._drop_embedded(features, tokens, noise)
        states = []
        for index in range(self.architecture.n_layers):
            layer: LstmLayer = getattr(self, f"lstm_{index}")
            mask = _weight_mask(layer, index, noise, active)
            if active is None:
                features, layer_state = layer(features, state[index], mask, ends)
            else:
                features, layer_state = layer.over_groups(features, state[index], mask, active)
            states.append(layer_state)
            outputs.append(features)
            if noise is not None and noise.dropouts.hidden and index < self.architecture.n_layers - 1:
                key = jax.random.fold_in(noise.key, 200 + index)
                features = features * locked_mask(key, noise.dropouts.hidden, noise.rows, features.shape[-1])[None]
        return tuple(outputs), tuple(states)

    def _drop_embedded(self, features: Array, tokens: Array, noise: Noise) -> Array:
        if noise.dropouts.embedding:
            key = jax.random.fold_in(noise.key, 0)
            mask = embedding_row_mask(key, noise.dropouts.embedding, self.architecture.vocabulary_size)
            features = features * jnp.take(mask, tokens)[..., None]
        if noise.dropouts.input:
            key = jax.random.fold_in(noise.key, 1)
            features = features * locked_mask(key, noise.dropouts.input, noise.rows, features.shape[-1])[None]
        return features


def initial_state(architecture: Architecture, batch: int) -> EncoderState:
    """The zero state of an encoder for `batch` rows."""
    zeros = [jnp.zeros((batch, hidden), jnp.float32) for _, hidden in architecture.layer_sizes()]
    return tuple(LstmState(zero, zero) for zero in zeros)


def _weight_mask(layer: LstmLayer, index: int, noise: Noise | None, active: Array | None) -> Array | None:
    if noise is None or not noise.dropouts.weight:
        return None
    shape, rate = layer.recurrent_kernel.shape, noise.dropouts.weight
    key = jax.random.fold_in(noise.key, 100 + index)
    if active is None:
        return keep_mask(key, rate, shape)
    return lax.cond(active.any(), lambda: keep_mask(key, rate, shape), lambda: jnp.zeros(shape, jnp.float32))


class TiedDecoder(nnx.Module):
    """The softmax layer that shares the encoder's embedding: its only parameter is `bias` `[vocabulary]`, at first
    0."""

    def __init__(self, vocabulary_size: int):
        self.bias = nnx.Param(jnp.zeros((vocabulary_size,), jnp.float32))


class LanguageModelNetwork(nnx.Module):
    """Encoder and tied decoder; `dtype` and `backend` as for `AwdLstm`."""

    def __init__(
        self, architecture: Architecture, *, dtype: DTypeLike = jnp.float32, backend: str = "scan", rngs: nnx.Rngs
    ):
        self.dtype = dtype
        self.encoder = AwdLstm(architecture, dtype=dtype, backend=backend, rngs=rngs)
        self.decoder = TiedDecoder(architecture.vocabulary_size)

    def loss(
        self,
        tokens: Array,
        targets: Array,
        state: EncoderState,
        noise: Noise,
        activation_penalty: float = 2.0,
        temporal_penalty: float = 1.0,
        ends: Array | None = None,
    ) -> tuple[Array, tuple[Array, EncoderState]]:
        """Training loss of a batch of a token stream.

        Args:
            tokens: `[time, batch]` int32.
            targets: the next tokens, `[time, batch]` int32.
            state: the state carried from the batch before.
            noise: what dropout draws from.
            activation_penalty: AR, times the mean square of the dropped outputs; 2 in fastai and the paper.
            temporal_penalty: TAR, times the mean square change of the undropped outputs between steps; 1 in both.
            ends: where the state becomes zero, `[time, batch]` bool: the last tokens of documents. None: nowhere, as in
                fastai.

        Returns:
            Loss with the penalties (to differentiate) and (cross-entropy without them, state after the batch).
        """
        outputs, state = self.encoder(tokens, state, noise, ends)
        dropped = outputs
        if noise.dropouts.output:
            key = jax.random.fold_in(noise.key, 2)
            dropped = outputs * locked_mask(key, noise.dropouts.output, noise.rows, outputs.shape[-1])[None]
        flat = dropped.reshape(-1, dropped.shape[-1])
        cross_entropy = tied_softmax_loss(
            flat, self.encoder.embedding[...], self.decoder.bias[...], targets.reshape(-1), self.dtype
        )
        loss = cross_entropy
        if activation_penalty:
            loss = loss + activation_penalty * jnp.mean(jnp.square(dropped))
        if temporal_penalty and outputs.shape[0] > 1:
            loss = loss + temporal_penalty * jnp.mean(jnp.square(outputs[1:] - outputs[:-1]))
        return loss, (cross_entropy, state)

    def scores(
        self, tokens: Array, targets: Array, state: EncoderState, ends: Array | None = None
    ) -> tuple[TokenScores, EncoderState]:
        """Evaluate a batch, dropout off: sums over its tokens, and the state after it. Arguments as for `loss`."""
        outputs, state = self.encoder(tokens, state, ends=ends)
        flat = outputs.reshape(-1, outputs.shape[-1])
        return (
            tied_softmax_scores(
                flat, self.encoder.embedding[...], self.decoder.bias[...], targets.reshape(-1), self.dtype
            ),
            state,
        )

    def next_token_logits(self, tokens: Array, state: EncoderState) -> tuple[Array, EncoderState]:
        """Scores `[batch, vocabulary]` of the token that follows `tokens` `[time, batch]`, and the state after them."""
        outputs, state = self.encoder(tokens, state)
        return logits(outputs[-1], self.encoder.embedding[...], self.decoder.bias[...], self.dtype), state
