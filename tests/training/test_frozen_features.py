"""Training a head on cached vectors is training it on the documents, where the encoder draws no dropout."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_runs import classifier_task, run

from ulmfit_jax.nn.architecture import Dropouts
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.parameters import flatten
from ulmfit_jax.training import document_scores
from ulmfit_jax.training.interruption import TrainingInterrupted
from ulmfit_jax.training.loop_options import TrainResult
from ulmfit_jax.training.progress import SilentProgress
from ulmfit_jax.training.stages import Stage

HEAD_ONLY_DROPOUT = Dropouts(output=0.4, hidden=0.0, weight=0.0, embedding=0.0, input=0.0)
ALL_LAYERS = Head(2, (6,), pool_layers="all")
STAGES = [Stage("head", 3, 2e-2, -1), Stage("all layers", 1, (1e-3, 1e-2)), Stage("head again", 1, 1e-2, -1)]


def trained(cache_frozen: bool, devices: int = 1, **options: Any) -> TrainResult:
    dropouts = options.pop("dropouts", HEAD_ONLY_DROPOUT)
    task = classifier_task(devices, cache_frozen=cache_frozen, drop_mult=1.0, dropouts=dropouts, **options)
    return run(task, STAGES, devices=devices)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{}, {"label_smoothing": 0.1, "class_weights": (0.2, 3.0)}, {"count": 5}, {"head": ALL_LAYERS}],
    ids=["", "smoothed and weighted", "filler rows", "all layers"],
)
def test_cached_and_uncached_stages_end_alike(options: dict[str, Any]) -> None:
    plain, cached = trained(False, **options), trained(True, **options)
    for epoch, (row, other) in enumerate(zip(plain.history, cached.history, strict=True)):
        # Adam makes more of a rounding from epoch to epoch, and running statistics after few steps more of that.
        grown = 1e-5 if epoch == 0 else 3e-4
        for column in ("train_loss", "valid_loss", "error_rate"):
            assert other[column] == pytest.approx(row[column], abs=1e-5, rel=grown * (column == "valid_loss"))
    for name, tree in (("parameters", plain.parameters), ("statistics", plain.statistics)):
        for path, leaf in flatten(tree).items():
            found = flatten(getattr(cached, name))[path]
            # A gradient that is hardly more than rounding still moves its parameter: Adam divides by its size.
            np.testing.assert_allclose(found, leaf, atol=5e-4, err_msg=path)


@pytest.mark.slow
def test_the_cache_serves_several_devices() -> None:
    one, two = trained(True), trained(True, devices=2)
    for alone, shared in zip(one.history, two.history, strict=True):
        for column in ("train_loss", "valid_loss"):
            assert shared[column] == pytest.approx(alone[column], abs=5e-5)


def test_the_encoder_runs_once_for_all_epochs_of_the_head(monkeypatch: pytest.MonkeyPatch) -> None:
    task = classifier_task(cache_frozen=True)
    assert task._frozen is not None
    calls: list[int] = []
    step = task._frozen._vectors

    def counted(*arguments: Any) -> Any:
        calls.append(1)
        return step(*arguments)

    monkeypatch.setattr(task._frozen, "_vectors", counted)
    run(task, [Stage("head", 4, 2e-2, -1)])
    assert len(calls) == 2, "once the training documents, once those to measure on"


class ReadingWatched(SilentProgress):
    """Remembers how many documents are read, and sends a signal when the n-th block of them is."""

    def __init__(self, block: int | None = None):
        self.told: list[tuple[int, int]] = []
        self._block = block

    def documents_read(self, done: int, total: int) -> None:
        self.told.append((done, total))
        if len(self.told) == self._block:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.parametrize("stages", [STAGES[:1], STAGES], ids=["first stage", "third stage"])
def test_a_signal_need_not_wait_until_all_documents_are_read(
    stages: list[Stage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document_scores, "CPU_LANES", 1)

    def task() -> Any:
        return classifier_task(cache_frozen=True, drop_mult=1.0, dropouts=HEAD_ONLY_DROPOUT)

    whole_told = ReadingWatched()
    whole = run(task(), stages, progress=whole_told)
    assert whole_told.told[0][1] == 40
    done = [done for done, _ in whole_told.told]
    assert max(done) <= 40
    assert done[1] > done[0]
    told = ReadingWatched(2 if len(stages) == 1 else len(done) - 1)
    with pytest.raises(TrainingInterrupted, match="SIGTERM; its state is saved"):
        run(task(), stages, folder=tmp_path, progress=told)
    assert told.told == whole_told.told[: len(told.told)]
    again = ReadingWatched()
    resumed = run(task(), stages, folder=tmp_path, progress=again)
    assert len(again.told) < len(done) or len(stages) == 1
    for path, leaf in flatten(whole.parameters).items():
        np.testing.assert_array_equal(flatten(resumed.parameters)[path], leaf, err_msg=path)
