"""Two directions in one program are the two runs apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from ulmfit_jax.data import Corpus
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.parameters import Tree
from ulmfit_jax.training.loop_options import LoopOptions, TrainResult
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.recipes import language_model_stages, pretrain_stages
from ulmfit_jax.training.run_folder import RunFolder
from ulmfit_jax.training.runs import LanguageModelSettings, RunContext, train_both_directions, train_language_model
from ulmfit_jax.training.stages import Stage

SIZES = Architecture(vocabulary_size=60, embedding_size=16, hidden_size=24, n_layers=2)
SETTINGS = LanguageModelSettings(batch_size=8, bptt=6, drop_mult=0.5, reset_state=True)


def corpus(seed: int) -> Corpus:
    """Documents that begin with xxbos, of words that follow each other."""
    generator = np.random.default_rng(seed)
    documents = []
    for length in generator.integers(5, 40, 60):
        words = 9 + np.cumsum(generator.integers(1, 3, length)) % 50
        documents.append(np.concatenate([[2], words]).astype(np.uint16))
    return Corpus.from_arrays(documents)


def close(result: Tree, expected: Tree) -> None:
    for found, wanted in zip(jax.tree.leaves(result), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=2e-5 * np.abs(wanted).max())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("devices", "stages"), [(1, language_model_stages(1, 1)), (2, pretrain_stages(1, 1e-2))], ids=["frozen", "devices"]
)
def test_each_direction_is_trained_as_if_alone(devices: int, stages: list[Stage]) -> None:
    context = RunContext(Devices(devices))
    both = train_both_directions(SIZES, None, corpus(0), corpus(1), stages, SETTINGS, 3, context)
    for backwards, result in zip((False, True), both, strict=True):
        settings = replace(SETTINGS, backwards=backwards)
        alone = train_language_model(SIZES, None, corpus(0), corpus(1), stages, settings, 3, context)
        close(result.parameters, alone.parameters)
        column = "perplexity_backward" if backwards else "perplexity"
        together = [row[column] for row in result.history]
        np.testing.assert_allclose(together, [row["perplexity"] for row in alone.history], rtol=1e-4)
    assert both[0].parameters["encoder"]["embedding"].shape == (60, 16)
    assert np.abs(both[0].parameters["decoder"]["bias"] - both[1].parameters["decoder"]["bias"]).max() > 1e-4


class _Stop(Exception):
    pass


class _StoppingProgress:
    """Ends a run from within, after so many steps."""

    def __init__(self, steps: int):
        self._left = steps

    def step_done(self, done: int, loss: float) -> None:
        self._left -= 1
        if self._left == 0:
            raise _Stop

    def __getattr__(self, name: str) -> object:
        return lambda *args: None


@pytest.mark.slow
def test_a_run_that_is_broken_off_goes_on_with_another_number_of_devices(tmp_path: Path) -> None:
    def train(devices: int, folder: str, progress: Any = None) -> tuple[TrainResult, TrainResult]:
        context = RunContext(Devices(devices), RunFolder(tmp_path / folder, {}), LoopOptions(save_steps=5), progress)
        return train_both_directions(SIZES, None, corpus(0), None, pretrain_stages(2, 1e-2), SETTINGS, 3, context)

    whole = train(1, "whole")
    with pytest.raises(_Stop):
        train(1, "broken", _StoppingProgress(12))
    resumed = train(2, "broken")
    for found, wanted in zip(resumed, whole, strict=True):
        close(found.parameters, wanted.parameters)
