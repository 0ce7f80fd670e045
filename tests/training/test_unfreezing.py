"""What a stage trains, what it leaves alone, and that it learns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_runs import LEARNABLE, classifier_task, language_model_task, run

from programs import multiplications
from ulmfit_jax.nn.parameters import Tree, flatten
from ulmfit_jax.optim.groups import freeze_to, group_labels
from ulmfit_jax.optim.optimizer import layerwise_adam
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.recipes import gradual_unfreezing_stages, language_model_stages
from ulmfit_jax.training.stages import Stage
from ulmfit_jax.training.task import StepControls, TrainState


@dataclass(frozen=True)
class Fit:
    """A stage that was run alone: parameters before and after, and its table."""

    task: Any
    stage: Stage
    before: Tree
    after: Tree
    history: list[dict[str, Any]]


def fits(task: Any, stages: list[Stage]) -> list[Fit]:
    """Run the stages one by one, each from where the last has ended."""
    parameters, statistics = task.definition.initialise(0)
    done = []
    for stage in stages:
        result = run(task, [stage], (parameters, statistics))
        done.append(Fit(task, stage, jax.device_get(parameters), result.parameters, result.history))
        parameters, statistics = result.parameters, result.statistics
    return done


@pytest.fixture(scope="module")
def classifier_fits() -> list[Fit]:
    return fits(classifier_task(), gradual_unfreezing_stages(epochs=(1, 1, 1, 1)))


@pytest.fixture(scope="module")
def language_model_fits() -> list[Fit]:
    return fits(
        language_model_task(**LEARNABLE), language_model_stages(epochs=120, frozen_epochs=2, learning_rate=5e-2)
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["classifier_fits", "language_model_fits"])
def test_frozen_groups_stay_bit_for_bit_and_all_others_move(kind: str, request: pytest.FixtureRequest) -> None:
    trained_parts = []
    for fit in request.getfixturevalue(kind):
        trainable = freeze_to(fit.task.groups, fit.stage.freeze_to)
        after, labels = flatten(fit.after), flatten(group_labels(fit.before, fit.task.groups))
        for path, before in flatten(fit.before).items():
            place = f"{path} in {fit.stage.name}"
            if labels[path] in trainable:
                assert not np.array_equal(after[path], before), place
            else:
                np.testing.assert_array_equal(after[path], before, err_msg=place)
        trained_parts.append(len(trainable))
    assert trained_parts == ([1, 2, 3, 5] if kind == "classifier_fits" else [1, 4])


def test_the_classifier_learns() -> None:
    history = run(classifier_task(), [Stage("all", 15, 1e-2)]).history
    assert history[0]["valid_loss"] == pytest.approx(np.log(2), abs=0.1)
    assert history[-1]["valid_loss"] < 0.3
    assert history[-1]["train_loss"] < 0.6 * history[0]["train_loss"]
    assert history[-1]["error_rate"] == 0


def test_the_language_model_learns(language_model_fits: list[Fit]) -> None:
    first, last = language_model_fits[0].history[0], language_model_fits[-1].history[-1]
    assert first["valid_loss"] == pytest.approx(np.log(24), abs=0.1)
    assert last["valid_loss"] < 0.6 * first["valid_loss"]
    assert last["train_loss"] < 0.8 * first["train_loss"]
    assert last["accuracy"] > 0.3
    assert last["perplexity"] == pytest.approx(np.exp(last["valid_loss"]))


def step_multiplications(task: Any, group: int) -> int:
    """Multiplications of matrix products in one training step with the groups before `group` frozen."""
    parameters, statistics = task.definition.initialise(0)
    devices, trainable = Devices(1), freeze_to(task.groups, group)
    optimizer = layerwise_adam(parameters, task.groups, trainable)
    state = TrainState(parameters, statistics, optimizer.init(parameters), task.initial_carry())
    rates = jnp.full((len(task.groups),), 1e-3, jnp.float32)
    controls = StepControls(jnp.uint32(0), jnp.uint32(0), rates, jnp.float32(0.8))
    batch = next(iter(task.train_batches(0, 0)))
    return multiplications(jax.make_jaxpr(task.step(optimizer, trainable, devices))(state, batch, controls))


def forward_multiplications(task: Any) -> int:
    """The same for a pass without gradients."""
    tokens, lengths, *_ = next(iter(task.train_batches(0, 0)))
    program = jax.make_jaxpr(lambda p, s: task.definition.bind(p, s).scores(tokens[:, :, 0], lengths[0]))
    return multiplications(program(*task.definition.initialise(0)))


def test_a_frozen_layer_costs_no_backward_pass() -> None:
    """A layer costs its forward products once more for the gradient of its inputs and once for that of its kernels."""
    task = classifier_task()
    forward = forward_multiplications(task)
    rows, head = 8, 36 * 6 + 6 * 2
    tokens = 2 * 8 * rows
    layers = [4 * hidden * inputs for inputs, hidden in task.architecture.layer_sizes()]
    recurrent = [4 * hidden * hidden for _, hidden in task.architecture.layer_sizes()]
    assert forward == rows * head + tokens * (sum(layers) + sum(recurrent))

    def layer_backward(index: int, needs_inputs: bool) -> int:
        return tokens * (2 * recurrent[index] + layers[index] * (2 if needs_inputs else 1))

    whole_head = rows * 2 * head
    assert step_multiplications(task, -1) == forward + whole_head
    assert step_multiplications(task, -2) == forward + whole_head + layer_backward(2, False)
    two = layer_backward(2, True) + layer_backward(1, False)
    assert step_multiplications(task, -3) == forward + whole_head + two
    everything = layer_backward(2, True) + layer_backward(1, True) + layer_backward(0, True)
    assert step_multiplications(task, 0) == forward + whole_head + everything
