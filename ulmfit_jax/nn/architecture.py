"""Sizes and dropout rates of the network, and the named presets."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass, fields

from ulmfit_jax.errors import ConfigError


@dataclass(frozen=True)
class Architecture:
    """Sizes of an AWD-LSTM encoder: everything that fixes the shapes of its parameters.

    The last layer gives `embedding_size` features, so that the softmax can share the embedding matrix; the layers
    before it give `hidden_size`.

    Attributes:
        vocabulary_size: rows of the embedding matrix, V.
        embedding_size: features of an embedding and of the encoder's output, E. 400 in the paper.
        hidden_size: features of the inner layers, H. 1150 in the paper, 1152 in fastai.
        n_layers: LSTM layers, 3 in the paper.
    """

    vocabulary_size: int
    embedding_size: int = 400
    hidden_size: int = 1152
    n_layers: int = 3

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or value < 1:
                raise ConfigError(f"architecture: {field.name} is {value!r}, it has to be a whole number of at least 1")

    def layer_sizes(self) -> list[tuple[int, int]]:
        """(input features, output features) of each LSTM layer, first to last."""
        sizes = [self.embedding_size, *[self.hidden_size] * (self.n_layers - 1), self.embedding_size]
        return list(itertools.pairwise(sizes))

    @property
    def lower_features(self) -> int:
        """Features of what the layers read, all of them together: the embedding's and each layer's but the last's."""
        return sum(inputs for inputs, _ in self.layer_sizes())

    def parameter_count(self) -> int:
        """Number of parameters of a language model of these sizes, decoder bias included."""
        lstm = sum(4 * out * (inp + out + 2) for inp, out in self.layer_sizes())
        return self.vocabulary_size * (self.embedding_size + 1) + lstm

    def to_dict(self) -> dict[str, int]:
        """The sizes as a plain dictionary, as written to `config.json`."""
        return asdict(self)


@dataclass(frozen=True)
class Dropouts:
    """The dropout rates of the network, each a probability of dropping (fastai's `*_p`).

    Attributes:
        output: on the encoder's output, before the decoder or in the head; one mask for all time steps.
        hidden: between LSTM layers; one mask for all time steps.
        input: on the embedded tokens; one mask for all time steps.
        embedding: of whole rows of the embedding matrix.
        weight: of single elements of the recurrent matrices (DropConnect).
    """

    output: float = 0.0
    hidden: float = 0.0
    input: float = 0.0
    embedding: float = 0.0
    weight: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 <= getattr(self, field.name) < 1:
                raise ConfigError(
                    f"dropouts: {field.name} is {getattr(self, field.name)}, it has to be at least 0 and below 1 "
                    "(a smaller drop_mult makes all five smaller)"
                )

    def scaled(self, drop_mult: float) -> Dropouts:
        """All five rates multiplied by fastai's `drop_mult`."""
        return Dropouts(**{name: rate * drop_mult for name, rate in asdict(self).items()})


LANGUAGE_MODEL_DROPOUTS = Dropouts(output=0.1, hidden=0.15, input=0.25, embedding=0.02, weight=0.2)
"""fastai `awd_lstm_lm_config`."""

CLASSIFIER_DROPOUTS = Dropouts(output=0.4, hidden=0.3, input=0.4, embedding=0.05, weight=0.5)
"""fastai `awd_lstm_clas_config`; text classifiers scale it by 0.5 by default."""

PRESETS: dict[str, dict[str, int]] = {
    "ulmfit": {"embedding_size": 400, "hidden_size": 1152, "n_layers": 3, "vocabulary_size": 30_000},
    "small": {"embedding_size": 320, "hidden_size": 640, "n_layers": 3, "vocabulary_size": 8_192},
    "tiny": {"embedding_size": 32, "hidden_size": 48, "n_layers": 3, "vocabulary_size": 1_000},
}
"""Sizes by name: `ulmfit` is the paper's network (fastai's 1152 for its 1150), `small` trains in hours on two CPU
cores, `tiny` is for tests. The vocabulary is the largest that the tokeniser is trained for; a small corpus gives a
smaller one."""


def preset(name: str, vocabulary_size: int | None = None) -> Architecture:
    """The architecture of a preset, with another vocabulary size if one is given.

    Raises:
        ConfigError: there is no preset of that name.
    """
    if name not in PRESETS:
        raise ConfigError(f"there is no preset {name!r}: choose one of {', '.join(PRESETS)}")
    sizes = dict(PRESETS[name])
    if vocabulary_size is not None:
        sizes["vocabulary_size"] = vocabulary_size
    return Architecture(**sizes)
