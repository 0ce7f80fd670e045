"""The arrays of a model folder in Orbax: nothing is read before their names and shapes are those of the network."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import jax
import numpy as np
import orbax.checkpoint as ocp

from ulmfit_jax.artifact.json_file import read_object
from ulmfit_jax.errors import ArtifactError
from ulmfit_jax.nn.parameters import Tree, flatten
from ulmfit_jax.training.processes import orbax_alone

FOLDER: Final = "parameters"
_MOST_COMPRESSED: Final = 256
"""How much smaller than its arrays a folder may be. Trained numbers hardly get smaller at all, but a model may have
rows that are all alike."""
_NAME: Final = re.compile(r"[a-z0-9_]{1,64}")


def write_arrays(
    parameters: Tree, statistics: Tree, folder: Path, dtype: Any, mantissa_bits: int | None = None
) -> None:
    """Write `parameters/` into a model folder, every array as `dtype`; matrices with so many bits of mantissa."""
    arrays = {name: tree for name, tree in (("parameters", parameters), ("statistics", statistics)) if tree}
    arrays = jax.tree.map(lambda leaf: _rounded(np.asarray(leaf), mantissa_bits).astype(dtype), arrays)
    with ocp.StandardCheckpointer(multiprocessing_options=orbax_alone()) as checkpointer:
        checkpointer.save((folder / FOLDER).absolute(), arrays)
    # Orbax notes the absolute path of the temporary folder here, which is nobody's business in a shared model.
    (folder / FOLDER / "commit_success.txt").write_text("Checkpoint commit was successful\n", "utf-8")


def _rounded(array: np.ndarray, mantissa_bits: int | None) -> np.ndarray:
    """The nearest numbers with so many bits of mantissa after the leading one; vectors, which are small, stay."""
    if mantissa_bits is None or array.ndim < 2:
        return array
    mantissa, exponent = np.frexp(array)
    steps = np.float32(2 ** (mantissa_bits + 1))
    return np.ldexp(np.round(mantissa * steps) / steps, exponent)


def array_shapes(folder: Path) -> Tree:
    """`{"parameters": …, "statistics": …}` with what each array will be as a leaf, which has a shape and a dtype.

    Raises:
        ArtifactError: they cannot be read, or are far larger than the files that hold them.
    """
    place = folder / FOLDER
    names = _names(place)
    with _read_by_orbax(place) as checkpointer:
        tree = dict(checkpointer.metadata(place.absolute()).item_metadata.tree)
        leaves = flatten(tree)
        claimed = sum(_bytes(leaf) for leaf in leaves.values())
    if leaves.keys() != names:
        raise ArtifactError(f"{place / '_METADATA'} names other arrays than are there: copy the model folder again")
    files = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
    if claimed > _MOST_COMPRESSED * files:
        raise ArtifactError(
            f"{place} has {files:,} bytes for arrays of {claimed:,}, which cannot be a trained model's: "
            "do not use this model"
        )
    return tree


def read_arrays(folder: Path) -> Tree:
    """The arrays in float32, whatever they are stored in; only after `array_shapes` was found to be right.

    Raises:
        ArtifactError: they cannot be read.
    """
    with _read_by_orbax(folder / FOLDER) as checkpointer:
        arrays = checkpointer.restore((folder / FOLDER).absolute())
        return jax.tree.map(lambda leaf: np.asarray(leaf).astype(np.float32), arrays)


@contextlib.contextmanager
def _read_by_orbax(place: Path) -> Iterator[ocp.StandardCheckpointer]:
    """A checkpointer; whatever it, TensorStore or the system raises becomes an ArtifactError."""
    with warnings.catch_warnings():
        # Where one array cannot be read, Orbax drops what it has begun for the others, and Python tells of each.
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        try:
            with ocp.StandardCheckpointer(multiprocessing_options=orbax_alone()) as checkpointer:
                yield checkpointer
        except MemoryError:
            raise
        except Exception as error:
            raise ArtifactError(f"{place} cannot be read: copy the model folder again") from error


def _names(place: Path) -> set[str]:
    """The paths of the arrays as Orbax has noted them: plain words, which lead to no file outside the folder."""
    content = read_object(place / "_METADATA")
    try:
        entries = content["tree_metadata"].values()
        paths = [[str(key["key"]) for key in entry["key_metadata"]] for entry in entries]
    except (KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{place / '_METADATA'} cannot be read: copy the model folder again") from error
    for name in _all(paths):
        if not _NAME.fullmatch(name):
            raise ArtifactError(f"{place / '_METADATA'} names an array {name[:100]!r}: do not use this model")
    return {"/".join(path) for path in paths}


def _all(paths: list[list[str]]) -> Iterator[str]:
    return (name for path in paths for name in path)


def _bytes(leaf: Any) -> int:
    """What an array takes while it is read, in the file's own dtype and pieces.

    Raises:
        ValueError: it is no array of floating-point numbers, or its pieces are larger than it is.
    """
    dtype, shape, pieces = np.dtype(leaf.dtype), tuple(leaf.shape), tuple(leaf.storage.chunk_shape)
    if (
        dtype.kind != "f"
        or leaf.sharding is not None
        or any(piece > max(size, 1) for piece, size in zip(pieces, shape, strict=True))
    ):
        raise ValueError("an array that is none")
    return int(np.prod([*map(int, shape), max(dtype.itemsize, 4)], dtype=object))
