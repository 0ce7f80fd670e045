"""The document classifier: encoder, concat pooling and fastai's `PoolingLinearClassifier` head, as Flax NNX modules."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array, lax
from jax.typing import DTypeLike

from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.awd_lstm import AwdLstm, Noise
from ulmfit_jax.nn.batch_norm import BatchNorm
from ulmfit_jax.nn.documents import MAX_LENGTH, EncodedDocuments, activation_penalties, concat_pool, encode_documents
from ulmfit_jax.nn.dropout import locked_mask
from ulmfit_jax.nn.label_loss import binary_cross_entropy
from ulmfit_jax.nn.products import rounded_einsum

POOL_LAYERS = ("last", "all")
"""What a head may read of the encoder."""

DEVICE_AXIS = "devices"
"""Name of the axis that training steps are mapped over; batch statistics are reduced over it."""


@dataclass(frozen=True)
class Head:
    """Sizes of a classifier's head.

    Attributes:
        n_classes: outputs.
        hidden: sizes of the hidden layers; `(50,)` in the paper and fastai (`lin_ftrs`).
        dropouts: dropout after each hidden layer; 0.1 in fastai (`ps`), not scaled by `drop_mult`.
        multi_label: a document has any number of the classes, each by itself (sigmoid and binary cross-entropy, as in
            fastai for `MultiCategoryBlock`), instead of one of them (softmax).
        pool_layers: `last`: the concat pooling of the last layer's outputs, as in the paper and fastai; `all`: beside
            it the means of the embedded tokens and of the lower layers' outputs, undropped. A language model's last
            layer foretells the next token; what a text is about stands rather in the layers below.

    Raises:
        ConfigError: a size below 1, a rate outside its range, not one rate for each hidden layer, or another word for
            `pool_layers`.
    """

    n_classes: int
    hidden: tuple[int, ...] = (50,)
    dropouts: tuple[float, ...] = (0.1,)
    multi_label: bool = False
    pool_layers: str = "last"

    def __post_init__(self) -> None:
        if self.n_classes < 1 or min(self.hidden, default=1) < 1:
            raise ConfigError(
                f"head: n_classes is {self.n_classes} and hidden {self.hidden}, sizes have to be at least 1"
            )
        if len(self.dropouts) != len(self.hidden) or not all(0 <= rate < 1 for rate in self.dropouts):
            raise ConfigError(
                f"head: dropouts is {self.dropouts}, it has to be one rate of at least 0 and below 1 for each of the "
                f"{len(self.hidden)} hidden layers"
            )
        if self.pool_layers not in POOL_LAYERS:
            raise ConfigError(f"pool_layers is {self.pool_layers!r}: choose one of {', '.join(POOL_LAYERS)}")

    @property
    def all_layers(self) -> bool:
        """Whether the lower layers are pooled too."""
        return self.pool_layers == "all"

    def features(self, architecture: Architecture) -> int:
        """Features of a pooled document."""
        return 3 * architecture.embedding_size + (architecture.lower_features if self.all_layers else 0)

    def to_dict(self) -> dict[str, object]:
        """The sizes as a plain dictionary, as written to `config.json`."""
        left_out = {"multi_label": False, "pool_layers": "last"}  # where they say nothing, for files from before them
        return {name: value for name, value in asdict(self).items() if left_out.get(name) != value}

    @classmethod
    def from_dict(cls, sizes: dict[str, Any]) -> Head:
        """The inverse of `to_dict`, from what JSON makes of it.

        Raises:
            ValueError, KeyError, TypeError, ConfigError: it is no such thing.
        """
        if not isinstance(sizes, dict):
            raise TypeError(f"a head that is {sizes!r}")
        if not isinstance(multi_label := sizes.get("multi_label", False), bool):
            raise ValueError("a multi_label that is no truth value")
        pool_layers = sizes.get("pool_layers", "last")
        return cls(int(sizes["n_classes"]), tuple(sizes["hidden"]), tuple(sizes["dropouts"]), multi_label, pool_layers)

    def log_probabilities(self, scores: Array) -> Array:
        """Log probabilities `[documents, classes]` of scores: together one, or of several labels each by itself."""
        return jax.nn.log_sigmoid(scores) if self.multi_label else jax.nn.log_softmax(scores)


class Dense(nnx.Module):
    """A linear layer without bias: `kernel` `[in, out]` from U(-1/sqrt(in), 1/sqrt(in)), torch's default."""

    def __init__(self, inputs: int, outputs: int, *, rngs: nnx.Rngs):
        bound = inputs**-0.5
        self.kernel = nnx.Param(jax.random.uniform(rngs.params(), (inputs, outputs), jnp.float32, -bound, bound))

    def __call__(self, features: Array) -> Array:
        """`[batch, in]` to `[batch, out]`."""
        return rounded_einsum("bi,io->bo", features, self.kernel[...], jnp.float32)


class PoolingHead(nnx.Module):
    """BatchNorm, dropout, linear and ReLU for each hidden layer, then once more without ReLU to the classes' scores."""

    def __init__(self, features: int, head: Head, *, rngs: nnx.Rngs):
        self.head = head
        sizes = [features, *head.hidden, head.n_classes]
        for index, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
            setattr(self, f"norm_{index}", BatchNorm(inputs))
            setattr(self, f"dense_{index}", Dense(inputs, outputs, rngs=rngs))

    def __call__(
        self, features: Array, rows: Array | None = None, noise: Noise | None = None, axis_name: str | None = None
    ) -> Array:
        """Scores `[batch, classes]` of pooled `features` `[batch, features]`; `rows` as for `BatchNorm`."""
        layers = len(self.head.hidden) + 1
        for index in range(layers):
            features = getattr(self, f"norm_{index}")(features, rows, axis_name)
            if noise is not None:
                rate = noise.dropouts.output if index == 0 else self.head.dropouts[index - 1]
                key = jax.random.fold_in(noise.key, 300 + index)
                features = features * locked_mask(key, rate, noise.rows, features.shape[-1])
            features = getattr(self, f"dense_{index}")(features)
            if index < layers - 1:
                features = jax.nn.relu(features)
        return features


def _weighted_loss(
    log_probabilities: Array, rows: Array, labels: Array, weights: Array, label_smoothing: float, axis_name: str | None
) -> Array:
    """Cross-entropy of `[batch, classes]` with a weight for each class, divided by the weights of the true labels."""
    labels = jnp.maximum(labels, 0)
    own = jnp.where(rows, weights[labels], jnp.float32(0))
    picked = jnp.take_along_axis(log_probabilities, labels[:, None], axis=1)[:, 0]
    uniform = (log_probabilities * weights[None]).mean(axis=1)
    losses = -(1 - label_smoothing) * own * picked - label_smoothing * jnp.where(rows, uniform, jnp.float32(0))
    total = own.sum()
    if axis_name:
        total = lax.pmean(total, axis_name)
    return losses.sum() / jnp.maximum(total, jnp.finfo(jnp.float32).tiny)


class ClassifierNetwork(nnx.Module):
    """Encoder and head; `dtype` as for `AwdLstm`, the head is float32."""

    def __init__(self, architecture: Architecture, head: Head, *, dtype: DTypeLike = jnp.float32, rngs: nnx.Rngs):
        self.encoder = AwdLstm(architecture, dtype=dtype, rngs=rngs)
        self.head = PoolingHead(head.features(architecture), head, rngs=rngs)

    def loss(
        self,
        tokens: Array,
        lengths: Array,
        labels: Array,
        noise: Noise,
        *,
        max_length: int = MAX_LENGTH,
        activation_penalty: float = 2.0,
        temporal_penalty: float = 1.0,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
        axis_name: str | None = None,
        perturbation: Array | None = None,
    ) -> tuple[Array, Array]:
        """Training loss of a batch of documents.

        Args:
            tokens: `[chunks, bptt, batch]` int32 (see `ulmfit_jax.nn.documents`).
            lengths: `[batch]` int32, 0 for a filler row, which counts in nothing.
            labels: `[batch]` int32; or `[batch, classes]`: of several labels int32, 1 where one applies, of one label
                float32, the probability that the target gives each class (without `class_weights`).
            noise: what dropout draws from.
            max_length: tokens at a document's end that are pooled.
            activation_penalty: AR, 2 in fastai; here on the undropped outputs, as there.
            temporal_penalty: TAR, 1 in fastai.
            label_smoothing: weight of the uniform distribution in the target; 0 in the paper, 0.1 in MultiFiT.
            class_weights: how much each class counts, above 0; the cross-entropy is then the weighted mean of torch's
                `CrossEntropyLoss(weight=…)`, of several labels `BCEWithLogitsLoss(pos_weight=…)`. None: all alike.
            axis_name: mapped axis that the batch is spread over.
            perturbation: see `encode_documents`.

        Returns:
            Loss with the penalties (to differentiate) and the cross-entropy without them, both of this device's rows;
            their means over equal shares of the devices are those of the global batch.
        """
        encoded = self._encoded(tokens, lengths, noise, max_length, perturbation)
        pooled, rows = concat_pool(encoded), lengths > 0
        cross_entropy = self.head_loss(pooled, rows, labels, noise, label_smoothing, class_weights, axis_name)
        loss = cross_entropy
        if activation_penalty or temporal_penalty:
            loss = loss + activation_penalties(encoded, activation_penalty, temporal_penalty, axis_name)
        return loss, cross_entropy

    def head_loss(
        self,
        vectors: Array,
        rows: Array,
        labels: Array,
        noise: Noise,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
        axis_name: str | None = None,
    ) -> Array:
        """Cross-entropy of the head in training on pooled `vectors` `[batch, features]`; see `loss`.

        `rows` `[batch]` bool says which rows are true ones.
        """
        scores = self.head(vectors, rows, noise, axis_name)
        if self.head.head.multi_label:
            return binary_cross_entropy(scores, rows, labels, label_smoothing, class_weights, axis_name)
        log_probabilities = jax.nn.log_softmax(scores)
        if class_weights is not None:
            weights = jnp.asarray(class_weights, jnp.float32)
            return _weighted_loss(log_probabilities, rows, labels, weights, label_smoothing, axis_name)
        if labels.ndim == 2:
            picked = (labels * log_probabilities).sum(axis=1)
        else:
            picked = jnp.take_along_axis(log_probabilities, jnp.maximum(labels, 0)[:, None], axis=1)[:, 0]
        losses = -(1 - label_smoothing) * picked - label_smoothing * log_probabilities.mean(axis=1)
        count = rows.sum(dtype=jnp.int32).astype(jnp.float32)
        if axis_name:
            count = lax.pmean(count, axis_name)
        return jnp.where(rows, losses, jnp.float32(0)).sum() / jnp.maximum(count, jnp.finfo(jnp.float32).tiny)

    def scores(
        self,
        tokens: Array,
        lengths: Array,
        max_length: int = MAX_LENGTH,
        noise: Noise | None = None,
        perturbation: Array | None = None,
        axis_name: str | None = None,
    ) -> Array:
        """Scores before the softmax, `[batch, classes]`.

        Dropout is off and batch normalisation has its running statistics; with `noise` they are as in training. The
        arguments are those of `loss`.
        """
        pooled = concat_pool(self._encoded(tokens, lengths, noise, max_length, perturbation))
        return self.head(pooled, None if noise is None else lengths > 0, noise, axis_name)

    def _encoded(
        self,
        tokens: Array,
        lengths: Array,
        noise: Noise | None,
        max_length: int,
        perturbation: Array | None = None,
    ) -> EncodedDocuments:
        all_layers = self.head.head.all_layers
        return encode_documents(self.encoder, tokens, lengths, noise, max_length, all_layers, perturbation)
