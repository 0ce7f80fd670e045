from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np
import pytest
from tiny_runs import CLIPPED, assert_trained_alike, classifier_task, language_model_task, run

from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.parameters import flatten
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.stages import Stage

LONG_ENOUGH = replace(CLIPPED, epochs=10, learning_rate=3e-3)
"""60 steps of the language model, 50 of the classifier. At rates some times higher a classifier so small enlarges what
another order of summation begins: up to 8e-4 of the largest value in 50 steps."""
WEIGHTED = partial(classifier_task, count=13, class_weights=(0.2, 3.0))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "stage"),
    [
        (language_model_task, LONG_ENOUGH),
        (classifier_task, LONG_ENOUGH),
        (partial(classifier_task, count=5), CLIPPED),
        (WEIGHTED, CLIPPED),
    ],
    ids=["language model", "classifier", "classifier with filler rows", "classifier with class weights"],
)
def test_one_and_four_devices_train_alike_with_dropout_on(make: Any, stage: Stage) -> None:
    """Parameters, and the statistics of batch normalisation, which are those of the global batch."""
    one, four = (run(make(devices), [stage], devices=devices) for devices in (1, 4))
    for alone, shared in zip(one.history, four.history, strict=True):
        for column in ("train_loss", "valid_loss"):
            assert shared[column] == pytest.approx(alone[column], abs=1e-5)
    assert_trained_alike(*(flatten({"parameters": r.parameters, "statistics": r.statistics}) for r in (four, one)))


def test_rows_are_split_and_joined_again() -> None:
    devices = Devices(4)
    array = np.arange(2 * 8 * 3).reshape(2, 8, 3)
    split = devices.split_rows(array, 1)
    assert split.shape == (2, 4, 2, 3)
    np.testing.assert_array_equal(split[:, 1], array[:, 2:4])
    np.testing.assert_array_equal(devices.join_rows(split, 1), array)


def test_a_tree_lies_whole_or_in_shares_on_the_devices() -> None:
    devices, tree = Devices(4), {"a": np.arange(8, dtype=np.float32).reshape(4, 2)}
    whole, shares = devices.replicate(tree)["a"], devices.scatter(tree)["a"]
    assert [piece.data.shape for piece in whole.addressable_shards] == [(4, 2)] * 4
    assert [piece.data.shape for piece in shares.addressable_shards] == [(1, 2)] * 4
    np.testing.assert_array_equal(shares, tree["a"])


@pytest.mark.parametrize("count", [0, 5])
def test_devices_that_are_not_there(count: int) -> None:
    with pytest.raises(ConfigError, match=f"{count} devices are asked for, but this machine offers 4 cpu"):
        Devices(count)
    assert len(Devices()) == len(jax.local_devices()) == 4


@pytest.mark.parametrize("make", [language_model_task, classifier_task])
def test_a_batch_that_does_not_divide_is_refused(make: Any) -> None:
    with pytest.raises(ConfigError, match="batch_size 8 does not divide over 3 devices"):
        make(3)


def test_a_platform_that_cannot_be_had_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise RuntimeError("Unable to initialize backend 'cuda'")

    monkeypatch.setattr(jax, "local_devices", refuse)
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    with pytest.raises(ConfigError, match="no device of the platform cuda"):
        Devices()
