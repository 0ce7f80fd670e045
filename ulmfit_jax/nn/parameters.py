"""Between modules and plain nested dictionaries: parameters leave and enter the network as dictionaries of arrays."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ulmfit_jax.errors import ArtifactError

Tree = dict[str, Any]
"""A nested dictionary with arrays as leaves."""


class ModuleDefinition:
    """A network without its arrays: makes new parameters, and turns dictionaries of arrays into a callable module.

    The arrays come in two dictionaries: `parameters`, which are trained, and `statistics`, the running means of batch
    normalisation (empty for a language model).
    """

    def __init__(self, create: Callable[[nnx.Rngs], nnx.Module]):
        """`create(rngs)` makes the module with fresh parameters; it is not run here, only traced."""
        self._create = create
        abstract = nnx.eval_shape(lambda: create(nnx.Rngs(0)))
        self._graph: nnx.GraphDef[nnx.Module]
        self._parameters: nnx.State
        self._statistics: nnx.State
        self._graph, self._parameters, self._statistics = _split(abstract)

    def initialise(self, seed: int) -> tuple[Tree, Tree]:
        """Fresh parameters and statistics drawn from `seed`."""
        return self._drawn(seed)

    @functools.cached_property
    def _drawn(self) -> Callable[[int], tuple[Tree, Tree]]:
        @functools.partial(jax.jit, static_argnums=0)
        def draw(seed: int) -> tuple[Tree, Tree]:
            _, parameters, statistics = _split(self._create(nnx.Rngs(seed)))
            return nnx.to_pure_dict(parameters), nnx.to_pure_dict(statistics)

        return draw

    @property
    def parameter_count(self) -> int:
        """Trained numbers."""
        return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(nnx.to_pure_dict(self._parameters)))

    def bind(self, parameters: Tree, statistics: Tree | None = None) -> Any:
        """The module with these arrays in it; cheap, and meant to be called inside a jitted function."""
        return nnx.merge(
            self._graph,
            _filled(self._parameters, parameters),
            _filled(self._statistics, statistics or {}),
        )

    @staticmethod
    def statistics_of(module: nnx.Module) -> Tree:
        """The statistics of a module after a training pass."""
        return nnx.to_pure_dict(nnx.state(module, nnx.BatchStat))

    def check(self, parameters: Tree, statistics: Tree | None = None, source: str = "the given parameters") -> None:
        """Compare names and shapes with what this network needs.

        Raises:
            ArtifactError: names the first missing, unknown or differently shaped array.
        """
        for expected, given in ((self._parameters, parameters), (self._statistics, statistics or {})):
            _check_tree(nnx.to_pure_dict(expected), given, source)


def _split(module: nnx.Module) -> Any:
    """Graph, parameters and statistics of a module."""
    return nnx.split(module, nnx.Param, nnx.BatchStat)


def _filled(state: nnx.State, arrays: Tree) -> nnx.State:
    copy = jax.tree.map(lambda leaf: leaf, state)
    nnx.replace_by_pure_dict(copy, arrays)
    return copy


def flatten(tree: Tree, prefix: str = "") -> dict[str, Any]:
    """The leaves of a nested dictionary by their path, `encoder/lstm_0/input_bias`, in the dictionary's order."""
    leaves: dict[str, Any] = {}
    for name, value in tree.items():
        path = f"{prefix}{name}"
        leaves |= flatten(value, f"{path}/") if isinstance(value, dict) else {path: value}
    return leaves


def unflatten(leaves: dict[str, Any]) -> Tree:
    """The inverse of `flatten`."""
    tree: Tree = {}
    for path, value in leaves.items():
        *parents, name = path.split("/")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {})
        place[name] = value
    return tree


def parameters_fingerprint(tree: Tree) -> str | None:
    """SHA-256 over names, shapes and values of the arrays; None for no arrays at all."""
    leaves = flatten(tree)
    if not leaves:
        return None
    digest = hashlib.sha256()
    for path in sorted(leaves):
        array = np.ascontiguousarray(leaves[path])
        digest.update(f"{path} {array.dtype} {array.shape}\n".encode())
        digest.update(array.view(np.uint8).data if array.ndim else array.tobytes())
    return digest.hexdigest()


def _check_tree(expected: Tree, given: Tree, source: str) -> None:
    expected_leaves, given_leaves = flatten(expected), flatten(given)
    for path, leaf in expected_leaves.items():
        if path not in given_leaves:
            raise ArtifactError(f"{source}: the array {path} is missing, so these are not the weights of this network")
        if tuple(np.shape(given_leaves[path])) != tuple(leaf.shape):
            raise ArtifactError(
                f"{source}: {path} has the shape {tuple(np.shape(given_leaves[path]))} where the network needs "
                f"{tuple(leaf.shape)}; choose the preset or architecture that the weights were made with"
            )
    for path in given_leaves:
        if path not in expected_leaves:
            raise ArtifactError(f"{source}: the array {path} has no place in this network")


def to_numpy(tree: Tree) -> Tree:
    """The same tree with NumPy arrays, which restore on any device."""
    return jax.tree.map(np.asarray, jax.device_get(tree))


def to_device(tree: Tree) -> Tree:
    """The same tree with float32 JAX arrays on the default device."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), tree)
