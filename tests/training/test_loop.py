from __future__ import annotations

import json
import math
import os
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_task import BATCHES, START, Interruption, ScriptedTask, StopAt
from tiny_runs import run

from ulmfit_jax.errors import ConfigError, TrainingError
from ulmfit_jax.nn.parameters import Tree
from ulmfit_jax.optim.groups import LayerGroup
from ulmfit_jax.optim.schedules import one_cycle, one_cycle_momentum
from ulmfit_jax.training.interruption import TrainingInterrupted
from ulmfit_jax.training.loop import Loop
from ulmfit_jax.training.loop_options import LoopOptions, TrainResult, kept_row
from ulmfit_jax.training.progress import SilentProgress
from ulmfit_jax.training.run_folder import RunFolder
from ulmfit_jax.training.stages import Stage
from ulmfit_jax.training.task import StepControls, TrainState

STAGES = [Stage("first", 2, 0.1), Stage("second", 1, (0.01, 0.2), schedule="constant")]
STEPS = 3 * BATCHES


def start() -> tuple[Tree, Tree]:
    return jax.tree.map(np.copy, START), {}


def scripted(task: ScriptedTask, stages: list[Stage] = STAGES, **options: Any) -> TrainResult:
    return run(task, stages, start(), **options)


class Messages(SilentProgress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)


def without_seconds(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


def test_the_table_has_a_row_for_each_epoch() -> None:
    history = scripted(ScriptedTask([3.0, 2.0, 1.0])).history
    places = [(row["stage"], row["epoch"], row["step"], row["valid_loss"]) for row in history]
    assert places == [("first", 0, 5, 3.0), ("first", 1, 10, 2.0), ("second", 0, 15, 1.0)]


def test_the_training_loss_is_fastai_s_smoothed_one_and_starts_afresh_in_each_stage() -> None:
    losses: list[float] = []

    class Recording(ScriptedTask):
        def step(self, *args: Any) -> Any:
            inner = super().step(*args)

            def step(*args: Any) -> Any:
                state, result = inner(*args)
                losses.append(float(result.loss))
                return state, result

            return step

    history = scripted(Recording()).history
    for row, seen in zip(history, [losses[:5], losses[:10], losses[10:]], strict=True):
        weights = 0.98 ** np.arange(len(seen))[::-1]
        assert row["train_loss"] == pytest.approx((weights * seen).sum() / weights.sum(), rel=1e-9)


def test_each_epoch_and_step_is_given_its_number_and_the_step_its_rates_and_its_momentum() -> None:
    given_controls: list[StepControls] = []
    epochs: list[int] = []

    class Recording(ScriptedTask):
        groups = (LayerGroup("first", ("v",)), LayerGroup("last", ("w",)))

        def train_batches(self, epoch: int, start: int) -> Any:
            epochs.append(epoch)
            return super().train_batches(epoch, start)

        def step(self, *args: Any) -> Any:
            inner = super().step(*args)

            def step(state: Any, batch: Any, controls: StepControls) -> Any:
                given_controls.append(controls)
                return inner(state, batch, controls)

            return step

    run(Recording(), STAGES, ({"v": np.zeros(1, np.float32), **START}, {}))
    assert epochs == [0, 1, 2]
    assert [int(controls.step) for controls in given_controls] == list(range(STEPS))
    assert {int(controls.seed) for controls in given_controls} == {5}
    rate, momentum = one_cycle(10, 0.1), one_cycle_momentum(10)
    expected = [(rate(t), rate(t), momentum(t)) for t in range(10)] + [(0.01, 0.2, 0.8)] * 5
    found = [(*controls.learning_rates, controls.momentum) for controls in given_controls]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@settings(max_examples=8)
@given(events=st.lists(st.integers(0, STEPS + 4), min_size=1, max_size=2), save_steps=st.sampled_from([2, 7, 99]))
def test_a_run_that_is_broken_off_anywhere_ends_as_the_whole_one(events: list[int], save_steps: int) -> None:
    options = LoopOptions(save_steps=save_steps)
    whole = scripted(ScriptedTask())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for event in events:
            try:
                scripted(ScriptedTask(), folder=folder, options=options, progress=StopAt(event))
            except Interruption:
                continue
        result = scripted(ScriptedTask(), folder=folder, options=options)
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    np.testing.assert_array_equal(result.parameters["w"], whole.parameters["w"])
    assert without_seconds(result.history) == without_seconds(whole.history) == without_seconds(rows)


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    first = scripted(ScriptedTask(), folder=tmp_path)
    progress = StopAt()
    again = scripted(ScriptedTask(), folder=tmp_path, progress=progress)
    assert progress.events == 0
    np.testing.assert_array_equal(again.parameters["w"], first.parameters["w"])
    assert again.history == first.history


def test_a_row_lost_between_state_and_table_is_written_at_the_next_start(tmp_path: Path) -> None:
    whole = scripted(ScriptedTask(), folder=tmp_path)
    (tmp_path / "metrics.jsonl").unlink()
    scripted(ScriptedTask(), folder=tmp_path)
    assert [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == whole.history


LONG = [Stage("long", 6, 0.1, schedule="constant")]


def test_keep_best_returns_the_epoch_of_the_lowest_validation_loss() -> None:
    losses = [3.0, 1.0, 2.0, 1.5, 4.0, 1.0]
    best = scripted(ScriptedTask(losses), LONG, options=LoopOptions(keep_best=True))
    last = scripted(ScriptedTask(losses), LONG)
    until_best = scripted(ScriptedTask(losses), [Stage("short", 2, 0.1, schedule="constant")])
    np.testing.assert_array_equal(best.parameters["w"], until_best.parameters["w"])
    assert not np.array_equal(best.parameters["w"], last.parameters["w"])
    assert len(best.history) == 6


def test_keep_best_looks_at_all_stages(tmp_path: Path) -> None:
    stages = [Stage("better", 1, 0.1, schedule="constant"), Stage("worse", 2, 0.1, schedule="constant")]
    losses, options = [1.0, 3.0, 2.0], LoopOptions(keep_best=True)
    first = scripted(ScriptedTask(losses[:1]), stages[:1])
    best = scripted(ScriptedTask(losses), stages, options=options)
    np.testing.assert_array_equal(best.parameters["w"], first.parameters["w"])
    with pytest.raises(Interruption):
        scripted(ScriptedTask(losses), stages, folder=tmp_path, options=options, progress=StopAt(BATCHES + 4))
    resumed = scripted(ScriptedTask(losses[1:]), stages, folder=tmp_path, options=options)
    np.testing.assert_array_equal(resumed.parameters["w"], first.parameters["w"])


def test_a_loss_that_is_no_number_is_never_the_best() -> None:
    losses = [math.nan, 2.0, 3.0]
    best = scripted(ScriptedTask(losses), [replace(LONG[0], epochs=3)], options=LoopOptions(keep_best=True))
    second = scripted(ScriptedTask(losses), [replace(LONG[0], epochs=3)], options=LoopOptions(patience=1))
    assert [row["epoch"] for row in second.history] == [0, 1, 2]
    until = scripted(ScriptedTask(losses), [replace(LONG[0], epochs=2)])
    np.testing.assert_array_equal(best.parameters["w"], until.parameters["w"])
    assert kept_row(best.history, keep_best=True) == best.history[1]


def test_a_state_is_saved_when_its_time_has_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step takes a second: with saves five seconds apart, a run of 30 steps saves in the middle of its epochs."""
    clock, saved = [0.0], []

    class Ticking(ScriptedTask):
        def step(self, *args: Any) -> Any:
            inner = super().step(*args)

            def step(*args: Any) -> Any:
                clock[0] += 1.0
                return inner(*args)

            return step

    class Watched(RunFolder):
        def save(self, state: Any, position: Any, best: Any) -> None:
            saved.append(position.step)
            super().save(state, position, best)

    monkeypatch.setattr("ulmfit_jax.training.saving.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("tiny_runs.RunFolder", Watched)
    monkeypatch.setattr("scripted_task.BATCHES", 12)
    monkeypatch.setattr(Ticking, "batches_per_epoch", 12)
    stages = [Stage("long", 2, 0.1, schedule="constant")]
    scripted(Ticking(), stages, folder=tmp_path, options=LoopOptions(save_seconds=4.5))
    assert saved == [5, 10, 12, 17, 22, 24, 24]  # the ends of epochs and of the stage too
    saved.clear()
    scripted(Ticking(), stages, folder=tmp_path / "hourly", options=LoopOptions(save_seconds=3600))
    assert saved == [12, 24, 24]


def test_the_best_parameters_outlive_an_interruption(tmp_path: Path) -> None:
    losses, options = [3.0, 1.0, 2.0, 1.5, 4.0, 1.5], LoopOptions(keep_best=True, save_steps=3)
    whole = scripted(ScriptedTask(losses), LONG, options=options)
    with pytest.raises(Interruption):
        scripted(ScriptedTask(losses), LONG, folder=tmp_path, options=options, progress=StopAt(4 * (BATCHES + 1) - 1))
    resumed = ScriptedTask(losses[3:])
    result = scripted(resumed, LONG, folder=tmp_path, options=options)
    np.testing.assert_array_equal(result.parameters["w"], whole.parameters["w"])
    assert [row["valid_loss"] for row in result.history] == losses


def test_a_stage_ends_after_so_many_epochs_without_a_better_one() -> None:
    messages = Messages()
    stages = [*LONG, Stage("next", 1, 0.1)]
    losses = [3.0, 1.0, 2.0, 1.5, 0.5]
    history = scripted(ScriptedTask(losses), stages, options=LoopOptions(patience=2), progress=messages).history
    assert [(row["stage"], row["epoch"]) for row in history] == [("long", i) for i in range(4)] + [("next", 0)]
    assert messages.said == ["stage long ended after 4 epochs: no better valid_loss"]


def test_a_stage_is_compared_with_itself_alone() -> None:
    losses = [1.0, 2.0, 1.8, 1.6, 1.4, 1.2]
    stages = [Stage("first", 1, 0.1), Stage("worse but falling", 5, 0.1)]
    history = scripted(ScriptedTask(losses), stages, options=LoopOptions(patience=1)).history
    assert [row["valid_loss"] for row in history] == losses


def test_without_validation_nothing_ends_early() -> None:
    assert len(scripted(ScriptedTask(), LONG, options=LoopOptions(patience=1)).history) == 6


def test_a_patience_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="patience is 0"):
        LoopOptions(patience=0)


@pytest.mark.parametrize(
    ("loss", "norm", "said", "save_steps"),
    [
        (np.nan, 1.0, "loss is nan", 1),
        (np.nan, 1.0, "loss is nan", 99),
        (np.inf, 1.0, "loss is inf", 4),
        (1.0, np.inf, "norm of the gradients is inf", 4),
    ],
)
def test_a_number_that_is_not_finite_ends_the_run_and_is_never_saved(
    tmp_path: Path, loss: float, norm: float, said: str, save_steps: int
) -> None:
    options = LoopOptions(save_steps=save_steps)
    task = ScriptedTask(bad_steps={BATCHES + 2: (loss, norm)})
    with pytest.raises(TrainingError, match=f"{said} at step 8 of stage first with .*last good state is in {tmp_path}"):
        scripted(task, folder=tmp_path, options=options)
    result = scripted(ScriptedTask(), folder=tmp_path, options=options)
    np.testing.assert_array_equal(result.parameters["w"], scripted(ScriptedTask()).parameters["w"])


def test_without_a_folder_the_sentence_names_none() -> None:
    with pytest.raises(TrainingError, match=r"at step 1 of stage first with the learning rate 0.004: .* gradients$"):
        scripted(ScriptedTask(bad_steps={0: (np.nan, 1.0)}))


@pytest.mark.parametrize("save_steps", [1, 2, 99])
def test_as_many_steps_as_allowed_are_skipped_also_after_going_on(tmp_path: Path, save_steps: int) -> None:
    bad = {1: (np.nan, 1.0), BATCHES + 2: (1.0, np.inf)}
    expected = scripted(ScriptedTask(bad_steps=bad), options=LoopOptions(skip_nonfinite=2))
    assert np.isfinite([row["train_loss"] for row in expected.history]).all()
    messages = Messages()
    options = LoopOptions(save_steps=save_steps, skip_nonfinite=1)
    sentence = "norm of the gradients is inf at step 8 of stage first .* after 1 skipped ones: lower"
    with pytest.raises(TrainingError, match=sentence):
        scripted(ScriptedTask(bad_steps=bad), folder=tmp_path, options=options, progress=messages)
    assert messages.said == [
        "the training loss is nan at step 2 of stage first with the learning rate "
        f"{one_cycle(2 * BATCHES, 0.1)(1):.3g}: skipped, 1 of at most 1"
    ]
    options = LoopOptions(save_steps=save_steps, skip_nonfinite=2)
    result = scripted(ScriptedTask(bad_steps=bad), folder=tmp_path, options=options)
    np.testing.assert_array_equal(result.parameters["w"], expected.parameters["w"])
    assert without_seconds(result.history) == without_seconds(expected.history)


def test_fewer_than_no_steps_to_skip_are_refused() -> None:
    with pytest.raises(ConfigError, match="skip_nonfinite is -1"):
        LoopOptions(skip_nonfinite=-1)


class CountSteps(SilentProgress):
    """Counts the accounted steps."""

    steps = 0

    def step_done(self, done_steps: int, loss: float) -> None:
        self.steps += 1


class SignalAt(SilentProgress):
    """Sends this process a signal at the n-th accounted step."""

    def __init__(self, number: int, step: int):
        self._number, self._left = number, step

    def step_done(self, done_steps: int, loss: float) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), self._number)


@pytest.fixture
def hears_signals() -> Iterator[None]:
    """A test run in the background inherits that Ctrl-C is ignored."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


@pytest.mark.usefixtures("hears_signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [1, BATCHES, 2 * BATCHES + 3, STEPS])
def test_a_signal_ends_training_with_its_state_saved(number: signal.Signals, step: int, tmp_path: Path) -> None:
    """Nothing but the signal saves within an epoch, and what was done is not done again."""
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    whole = scripted(ScriptedTask())
    with pytest.raises(TrainingInterrupted, match=f"{number.name}; its state is saved") as caught:
        scripted(ScriptedTask(), folder=tmp_path, progress=SignalAt(number, step))
    assert caught.value.signal == number
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers
    saved = max(int(path.name) for path in (tmp_path / "state").iterdir() if path.name.isdecimal())
    assert saved >= 1
    told = CountSteps()
    resumed = scripted(ScriptedTask(), folder=tmp_path, progress=told)
    np.testing.assert_array_equal(resumed.parameters["w"], whole.parameters["w"])
    assert without_seconds(resumed.history) == without_seconds(whole.history)
    assert told.steps <= STEPS - step


@pytest.mark.usefixtures("hears_signals")
def test_a_second_signal_ends_training_at_once(tmp_path: Path) -> None:
    class Twice(SilentProgress):
        def step_done(self, done_steps: int, loss: float) -> None:
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as caught:
        scripted(ScriptedTask(), folder=tmp_path, progress=Twice())
    assert not isinstance(caught.value, TrainingInterrupted)


def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        result = scripted(ScriptedTask(), folder=tmp_path, progress=SignalAt(signal.SIGINT, 2))
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, previous)
    np.testing.assert_array_equal(result.parameters["w"], scripted(ScriptedTask()).parameters["w"])


@pytest.mark.usefixtures("hears_signals")
def test_a_run_that_keeps_nothing_leaves_signals_alone() -> None:
    with pytest.raises(KeyboardInterrupt) as caught:
        scripted(ScriptedTask(), progress=SignalAt(signal.SIGINT, 2))
    assert not isinstance(caught.value, TrainingInterrupted)


@pytest.mark.usefixtures("hears_signals")
def test_a_signal_in_the_last_save_ends_what_would_come_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = Loop._save

    def save_and_signal(loop: Loop, state: TrainState) -> None:
        if loop._position.stage == len(STAGES):
            os.kill(os.getpid(), signal.SIGTERM)
        save(loop, state)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_save", save_and_signal)
        with pytest.raises(TrainingInterrupted, match="its state is saved"):
            scripted(ScriptedTask(), folder=tmp_path)
    resumed, whole = scripted(ScriptedTask(), folder=tmp_path), scripted(ScriptedTask())
    np.testing.assert_array_equal(resumed.parameters["w"], whole.parameters["w"])
    assert without_seconds(resumed.history) == without_seconds(whole.history)
