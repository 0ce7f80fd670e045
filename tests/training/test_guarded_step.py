"""A guarded step that is not finite changes nothing: not parameters, statistics, optimiser or carry."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_runs import classifier_task, language_model_task

from ulmfit_jax.optim.groups import LayerGroup, group_labels
from ulmfit_jax.training.both_directions import BothDirectionsTask, paired
from ulmfit_jax.training.mapping import REPLICATED, Devices
from ulmfit_jax.training.stage_optimizer import StageOptimizer
from ulmfit_jax.training.stages import Stage
from ulmfit_jax.training.task import StepControls, TrainState, update

GROUPS = (LayerGroup("all", ("w",)),)
GOOD = {"factor": np.float32(1.0), "root": np.float32(1.0)}
BAD = [
    pytest.param({"factor": np.float32(np.nan), "root": np.float32(1.0)}, id="the loss is NaN"),
    pytest.param({"factor": np.float32(np.inf), "root": np.float32(1.0)}, id="the loss is infinite"),
    pytest.param({"factor": np.float32(1.0), "root": np.float32(0.0)}, id="only the gradient is not finite"),
]


def trained(batches: list[dict[str, np.float32]], guarded: bool) -> tuple[TrainState, list[tuple[float, float]]]:
    """The state after these batches on two devices, and the loss and norm of each step."""
    devices = Devices(2)
    parameters = {"w": np.array([1.0, -2.0], np.float32)}
    optimizer = StageOptimizer(Stage("all", 1, 0.1), parameters, GROUPS)

    def step(state: TrainState, batch: dict[str, Any], controls: StepControls) -> Any:
        def loss(tree: dict[str, Any], key: Any) -> Any:
            squares = jnp.square(tree["w"]).sum()
            value = batch["factor"] * squares + jnp.sqrt(squares * batch["root"])  # the root of 0 has no slope
            return value, (value, {"seen": state.statistics["seen"] + 1 * batch["factor"]}, state.carry + value)

        labels = group_labels(state.parameters, GROUPS)
        return update(state, controls, optimizer.transform, labels, optimizer.trainable, loss, guarded)

    axes: Any = TrainState(REPLICATED, REPLICATED, REPLICATED, 0)
    mapped = devices.map(step, (axes, REPLICATED, REPLICATED), (axes, REPLICATED))
    start = (parameters, {"seen": np.zeros((), np.float32)}, optimizer.transform.init(parameters))
    carry = devices.scatter(np.zeros((2, 1), np.float32))
    state = TrainState(*(devices.replicate(tree) for tree in start), carry)
    results = []
    for number, batch in enumerate(batches):
        controls = StepControls(jnp.uint32(0), jnp.uint32(number), jnp.full((1,), 0.1), jnp.float32(0.9))
        state, result = mapped(state, batch, controls)
        results.append((float(result.loss), float(result.gradient_norm)))
    return state, results


@pytest.mark.parametrize("bad", BAD)
def test_a_step_that_is_not_finite_leaves_no_trace(bad: dict[str, np.float32]) -> None:
    with_it, results = trained([GOOD, bad, GOOD], guarded=True)
    without_it, _ = trained([GOOD, GOOD], guarded=True)
    assert np.isfinite(results[0]).all()
    assert not np.isfinite(results[1]).all()
    jax.tree.map(np.testing.assert_array_equal, with_it, without_it)


def test_without_the_guard_it_spoils_the_parameters() -> None:
    state, _ = trained([GOOD, {"factor": np.float32(np.nan), "root": np.float32(1.0)}], guarded=False)
    assert np.isnan(state.parameters["w"]).all()


def test_the_guard_changes_no_good_step() -> None:
    jax.tree.map(np.testing.assert_array_equal, trained([GOOD] * 3, True)[0], trained([GOOD] * 3, False)[0])


def _one_step(task: Any, stage: Stage, guarded: bool) -> tuple[TrainState, TrainState]:
    """The state before and after a step from parameters of which one is NaN."""
    devices = Devices(1)
    parameters, statistics = task.definition.initialise(0)
    if isinstance(task, BothDirectionsTask):
        parameters = paired(parameters, parameters)
    spoilt = jax.tree.map(np.array, parameters)
    leaf = jax.tree.leaves(spoilt)[-1]
    leaf.reshape(-1)[-1] = np.nan
    optimizer = StageOptimizer(stage, spoilt, task.groups)
    trees = (spoilt, statistics, optimizer.transform.init(spoilt))
    state = TrainState(*(devices.replicate(tree) for tree in trees), task.initial_carry())
    before = jax.tree.map(np.array, state)
    step = task.step(optimizer.transform, optimizer.trainable, devices, guarded)
    task.prepare(state, lambda *_: None)
    controls = StepControls(
        jnp.uint32(0), jnp.uint32(0), jnp.full((len(task.groups),), 0.1, jnp.float32), jnp.float32(0.9)
    )
    after, result = step(state, next(iter(task.train_batches(0, 0))), controls)
    assert not np.isfinite([float(result.loss), float(result.gradient_norm)]).all()
    return before, jax.tree.map(np.array, after)


def _both_directions() -> BothDirectionsTask:
    return BothDirectionsTask(*(language_model_task(backwards=backwards) for backwards in (False, True)))


ALL, HEAD_ALONE = Stage("all", 1, 0.1), Stage("head", 1, 0.1, -1)
TASKS = {
    "language model": (language_model_task, ALL),
    "both directions": (_both_directions, ALL),
    "classifier": (classifier_task, ALL),
    "adversarial": (lambda: classifier_task(adversarial=0.2), ALL),
    "head on kept vectors": (lambda: classifier_task(cache_frozen=True), HEAD_ALONE),
}


@pytest.mark.parametrize("name", TASKS)
def test_every_task_guards_its_steps(name: str) -> None:
    make, stage = TASKS[name]
    before, after = _one_step(make(), stage, guarded=True)
    jax.tree.map(np.testing.assert_array_equal, after, before)
