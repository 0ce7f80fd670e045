"""Two tiny runs whose losses are written down: what they learn stays what it was, whatever is made faster or moved.

The numbers are those of jax 0.10.2 on an x86-64 CPU. Another order of summation, as without XLA's optimisation, changes
them by 3e-7 of their size; another rate, dropout, order of the data or initial value by more than the tolerance.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tiny_runs import CLIPPED, classifier_task, language_model_task, run

from ulmfit_jax.nn.parameters import flatten
from ulmfit_jax.training.loop_options import TrainResult

TOLERANCE = 2e-5
GOLDEN = {
    "language model": (language_model_task, [(3.1713914, 3.1486077), (3.1542327, 3.1325242)]),
    "classifier": (classifier_task, [(0.6915986, 0.6916341), (0.6664341, 0.6585941)]),
}
"""Training and validation loss of each epoch."""


def losses(result: TrainResult) -> list[tuple[float, float]]:
    return [(row["train_loss"], row["valid_loss"]) for row in result.history]


@functools.cache
def first_run(name: str) -> TrainResult:
    make, _ = GOLDEN[name]
    return run(make(), [CLIPPED])


@pytest.mark.parametrize("name", GOLDEN)
def test_the_losses_are_those_that_were_written_down(name: str) -> None:
    np.testing.assert_allclose(losses(first_run(name)), GOLDEN[name][1], rtol=TOLERANCE)


@pytest.mark.parametrize("name", GOLDEN)
def test_the_same_seed_gives_the_same_result_bit_for_bit(name: str) -> None:
    make, _ = GOLDEN[name]
    first, second = leaves(first_run(name)), leaves(run(make(), [CLIPPED]))
    for path, leaf in first.items():
        np.testing.assert_array_equal(second[path], leaf, err_msg=path)


def test_a_little_more_of_the_rate_is_noticed() -> None:
    """The tolerance is narrow enough."""
    found = losses(run(language_model_task(), [replace(CLIPPED, learning_rate=1.05e-2)]))
    assert not np.allclose(found, GOLDEN["language model"][1], rtol=TOLERANCE)


def leaves(result: TrainResult) -> dict[str, Any]:
    return flatten({"parameters": result.parameters, "statistics": result.statistics})
