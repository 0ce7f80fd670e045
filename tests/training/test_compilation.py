"""How many programs a run compiles: one for each stage and shape, whatever the rates are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax.monitoring
import pytest
from tiny_runs import CLIPPED, classifier_task, language_model_task, run

from ulmfit_jax.training.progress import SilentProgress


class Compilations(SilentProgress):
    """Counts compiled programs up to each finished step and each finished epoch of a run."""

    def __init__(self) -> None:
        self.total = 0
        self.at_steps: list[int] = []
        self.at_epochs: list[int] = []

    def listen(self, event: str, duration: float, **_: Any) -> None:
        self.total += event == "/jax/core/compile/backend_compile_duration"

    def step_done(self, done_steps: int, loss: float) -> None:
        self.at_steps.append(self.total)

    def epoch_done(self, row: dict[str, Any]) -> None:
        self.at_epochs.append(self.total)


@pytest.fixture
def compilations() -> Iterator[Compilations]:
    counting = Compilations()
    jax.monitoring.register_event_duration_secs_listener(counting.listen)
    yield counting
    jax.monitoring.unregister_event_duration_listener(counting.listen)


@pytest.mark.parametrize("make", [language_model_task, classifier_task])
def test_neither_a_new_step_nor_a_new_rate_nor_a_new_epoch_compiles_anything(
    make: Any, compilations: Compilations
) -> None:
    run(make(), [replace(CLIPPED, epochs=3, schedule="slanted_triangular")], progress=compilations)
    assert compilations.at_steps[0] > 0
    assert compilations.at_steps[-1] == compilations.at_epochs[0]
    assert len(set(compilations.at_epochs)) == 1
