"""Layer groups: which parameters share a learning rate and are frozen together (ULMFiT sections 3.2 and 3.3).

Parameters are a nested dictionary of arrays; a path names one of them, `encoder/lstm_0/input_bias`. Everything here
looks at the names only, so arrays, tracers and shapes (`jax.ShapeDtypeStruct`) will do.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from ulmfit_jax.errors import ConfigError

Parameters = dict[str, Any]
"""A nested dictionary with arrays as leaves."""


class LayerGroup(NamedTuple):
    """Parameters that train together.

    Attributes:
        name: the group's label.
        prefixes: the paths, `encoder/lstm_0`, at and under which a parameter belongs to the group.
    """

    name: str
    prefixes: tuple[str, ...]

    def holds(self, path: str) -> bool:
        """Whether the parameter at `path` is in this group."""
        return any(path == prefix or path.startswith(f"{prefix}/") for prefix in self.prefixes)


def layer_groups(n_layers: int, kind: str) -> tuple[LayerGroup, ...]:
    """The layer groups of fastai's `awd_lstm_lm_split` and `awd_lstm_clas_split`; the last of them is unfrozen first.

    Args:
        n_layers: LSTM layers of the encoder.
        kind: `language_model`: each LSTM layer, then the embedding with the decoder (4 groups for 3 layers); they are
            last, so that a frozen language model trains the rows that a new vocabulary brought.
            `classifier`: the embedding, each LSTM layer, the head (5 groups for 3 layers).

    Raises:
        ConfigError: another kind, or no layers.
    """
    if n_layers < 1:
        raise ConfigError(f"an encoder of {n_layers} LSTM layers has no layer groups: give at least 1")
    layers = tuple(LayerGroup(f"lstm_{i}", (f"encoder/lstm_{i}",)) for i in range(n_layers))
    if kind == "language_model":
        return (*layers, LayerGroup("embedding_decoder", ("encoder/embedding", "decoder")))
    if kind == "classifier":
        return (LayerGroup("embedding", ("encoder/embedding",)), *layers, LayerGroup("head", ("head",)))
    raise ConfigError(f"no layer groups are known for the kind {kind!r}: give 'language_model' or 'classifier'")


LANGUAGE_MODEL_GROUPS = layer_groups(3, "language_model")
CLASSIFIER_GROUPS = layer_groups(3, "classifier")


def group_labels(params: Parameters, groups: Sequence[LayerGroup]) -> Parameters:
    """The tree of `params` with the name of its layer group in the place of each parameter.

    Raises:
        ConfigError: a parameter that is in no group or in several, or a group without parameters.
    """

    def label(key_path: Any, _: Any) -> str:
        path = path_name(key_path)
        names = [group.name for group in groups if group.holds(path)]
        if len(names) != 1:
            found = f"in the layer groups {', '.join(names)}" if names else "in no layer group"
            raise ConfigError(
                f"the parameter {path} is {found}: give layer groups that hold each parameter exactly once"
            )
        return names[0]

    labels = jax.tree_util.tree_map_with_path(label, params)
    used = set(jax.tree.leaves(labels))
    for group in groups:
        if group.name not in used:
            raise ConfigError(
                f"no parameter is in the layer group {group.name} ({', '.join(group.prefixes)}): "
                "give the layer groups of this network"
            )
    return labels


def path_name(key_path: Any) -> str:
    """The path `encoder/lstm_0/input_bias` of a leaf, from what `jax.tree_util.tree_map_with_path` gives."""
    return jax.tree_util.keystr(key_path, simple=True, separator="/")


def freeze_to(groups: Sequence[LayerGroup], n: int) -> frozenset[str]:
    """The names of the groups that train when those before index `n` are frozen (fastai `freeze_to`).

    Args:
        groups: all layer groups.
        n: the first group that trains, negative from the end; 0 trains all, -1 the last group alone.

    Raises:
        ConfigError: no such group.
    """
    if not -len(groups) <= n < len(groups):
        raise ConfigError(
            f"cannot freeze up to layer group {n}: there are {len(groups)}, give {-len(groups)} to {len(groups) - 1}"
        )
    return frozenset(group.name for group in groups[n:])


def discriminative_rates(rate: float | Sequence[float | None], n_groups: int) -> tuple[float, ...]:
    """One learning rate for each layer group.

    Args:
        rate: a number: the same for all groups. `(a, b)`: geometric from `a` for the first group to `b` for the last
            (fastai's `slice(a, b)`). `(None, b)`: `b` for the last group and `b / 10` for the others (fastai's
            `slice(b)`). The paper's factor of 2.6 a layer over 5 groups is `(b / 2.6**4, b)`.
        n_groups: layer groups, frozen ones counted.

    Raises:
        ConfigError: a rate that is not a positive number, or neither one nor two of them.
    """
    if isinstance(rate, (int, float, np.floating)):
        return (_checked_rate(float(rate)),) * n_groups
    if len(rate) != 2 or rate[1] is None:
        raise ConfigError(f"the learning rate is {rate}: give a number, or a pair (lowest or None, highest)")
    last = _checked_rate(rate[1])
    if rate[0] is None:
        return (last / 10.0,) * (n_groups - 1) + (last,)
    first = _checked_rate(rate[0])
    if n_groups == 1:
        return (last,)
    factor = (last / first) ** (1.0 / (n_groups - 1))
    return (*(first * factor**i for i in range(n_groups - 1)), last)


def _checked_rate(rate: float) -> float:
    if not (math.isfinite(rate) and rate > 0.0):
        raise ConfigError(f"the learning rate is {rate}: give a positive number")
    return float(rate)


def split_params(params: Parameters, labels: Parameters, trainable: Collection[str]) -> tuple[Parameters, Parameters]:
    """Cut parameters, or any tree of their structure, into those that train and those that are frozen.

    Args:
        params: nested dictionary.
        labels: their groups, from `group_labels`.
        trainable: the names of the groups that train.

    Returns:
        Two nested dictionaries, (trainable, frozen), each without the branches that it holds nothing of; `merge_params`
        puts them together again. Differentiate with respect to the first alone: a frozen layer costs no backward pass.
    """
    return _select(params, labels, trainable, True), _select(params, labels, trainable, False)


def _select(params: Parameters, labels: Parameters, trainable: Collection[str], wanted: bool) -> Parameters:
    selected: Parameters = {}
    for name, value in params.items():
        if isinstance(value, Mapping):
            branch = _select(dict(value), labels[name], trainable, wanted)
            if branch:
                selected[name] = branch
        elif (labels[name] in trainable) == wanted:
            selected[name] = value
    return selected


def merge_params(a: Parameters, b: Parameters) -> Parameters:
    """The union of two nested dictionaries of different parameters: the inverse of `split_params`.

    Raises:
        ConfigError: a parameter that is in both.
    """
    return _merge(a, b, "")


def _merge(a: Parameters, b: Parameters, prefix: str) -> Parameters:
    merged = dict(a)
    for name, value in b.items():
        if name not in merged:
            merged[name] = value
        elif isinstance(value, Mapping) and isinstance(merged[name], Mapping):
            merged[name] = _merge(dict(merged[name]), dict(value), f"{prefix}{name}/")
        else:
            raise ConfigError(f"the parameter {prefix}{name} is in both halves: each parameter is trainable or frozen")
    return merged
