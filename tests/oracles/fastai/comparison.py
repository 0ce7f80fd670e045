"""Whether two nested dictionaries hold the same numbers."""

from __future__ import annotations

import numpy as np

from ulmfit_jax.nn.parameters import Tree, flatten


def assert_close(tree: Tree, expected: Tree, tolerance: float) -> None:
    """Each array has the same path in both, and differs in no element by more than `tolerance` times the sum of that
    element and of the array's largest."""
    leaves, expected_leaves = flatten(tree), flatten(expected)
    assert leaves.keys() == expected_leaves.keys()
    for path, leaf in leaves.items():
        largest = np.abs(expected_leaves[path]).max()
        np.testing.assert_allclose(
            leaf, expected_leaves[path], rtol=tolerance, atol=tolerance * largest, err_msg=path, strict=True
        )
