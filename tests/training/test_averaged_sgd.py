"""NT-ASGD as the optimiser of a stage: plain SGD until the validation loss stalls, then the mean of the iterates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny_runs import language_model_task, run

from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.parameters import flatten
from ulmfit_jax.training.loop_options import LoopOptions
from ulmfit_jax.training.recipes import averaged_sgd_stages


class ScriptedLosses:
    """A task whose validation losses are given, so that the trigger fires when the test says."""

    def __init__(self, losses):
        self._task, self._losses, self.measured = language_model_task(), list(losses), []

    def __getattr__(self, name):
        return getattr(self._task, name)

    def evaluate(self, parameters, statistics):
        self.measured.append({path: np.asarray(leaf) for path, leaf in flatten(parameters).items()})
        return {**self._task.evaluate(parameters, statistics), "valid_loss": self._losses[len(self.measured) - 1]}


def test_the_loss_falls():
    history = run(language_model_task(), averaged_sgd_stages(6, 5.0)).history
    assert history[-1]["valid_loss"] < history[0]["valid_loss"] - 0.05


def test_the_mean_is_measured_and_kept_once_the_loss_stalls():
    losses = [3.0, 2.0, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6, 2.7]
    task = ScriptedLosses(losses)
    result = run(task, averaged_sgd_stages(len(losses), 5.0))
    # Epoch 7 (2.6) is worse than the best of all but the five before it (2.0): its successors are averaged.
    plain = ScriptedLosses(sorted(losses, reverse=True))
    raw = run(plain, averaged_sgd_stages(len(losses), 5.0))
    for epoch in range(8):
        np.testing.assert_array_equal(task.measured[epoch]["decoder/bias"], plain.measured[epoch]["decoder/bias"])
    assert not np.array_equal(task.measured[8]["decoder/bias"], plain.measured[8]["decoder/bias"])
    kept = flatten(result.parameters)
    for path, leaf in task.measured[-1].items():
        np.testing.assert_array_equal(kept[path], leaf)
    assert not np.array_equal(kept["decoder/bias"], flatten(raw.parameters)["decoder/bias"])


def test_a_resumed_run_averages_on(tmp_path):
    losses = [3.0, 2.0, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6, 2.7]
    whole = run(ScriptedLosses(losses), averaged_sgd_stages(9, 5.0))

    class Stop(Exception):
        pass

    class Stopper:
        def epoch_done(self, row):
            if row["epoch"] == 7:
                raise Stop

        def __getattr__(self, name):
            return lambda *arguments: None

    with pytest.raises(Stop):
        run(ScriptedLosses(losses), averaged_sgd_stages(9, 5.0), folder=tmp_path, progress=Stopper())
    rest = ScriptedLosses(losses[8:])
    resumed = run(rest, averaged_sgd_stages(9, 5.0), folder=tmp_path, options=LoopOptions())
    for path, leaf in flatten(whole.parameters).items():
        np.testing.assert_array_equal(flatten(resumed.parameters)[path], leaf)


def test_frozen_groups_and_several_rates_are_refused():
    [stage] = averaged_sgd_stages(1)
    for wrong in (replace(stage, freeze_to=-1), replace(stage, learning_rate=(0.1, 1.0))):
        with pytest.raises(ConfigError, match="nt_asgd trains all layer groups at one rate"):
            run(language_model_task(), [wrong])
    with pytest.raises(ConfigError, match="no optimizer 'adamw'"):
        replace(stage, optimizer="adamw")
