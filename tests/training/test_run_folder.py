from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripted_task import BATCHES, START, Interruption, ScriptedTask, StopAt
from tiny_runs import CLIPPED, language_model_task, run

from ulmfit_jax.errors import ArtifactError, ConfigError, TrainingError
from ulmfit_jax.nn.parameters import flatten
from ulmfit_jax.training.loop_options import LoopOptions
from ulmfit_jax.training.progress import SilentProgress
from ulmfit_jax.training.run_folder import Position, RunFolder
from ulmfit_jax.training.stages import Stage
from ulmfit_jax.training.task import TrainState

CONFIG = {"recipe": "tiny", "seed": 1, "rates": (0.1, 0.2)}
STATE = TrainState({"a": {"b": np.arange(3, dtype=np.float32)}}, {}, (np.int32(4), {"m": np.ones(2, np.float32)}), ())
STAGES = [Stage("only", 2, 0.1)]


def saved(path: Path, config: dict[str, Any] | None = None) -> None:
    folder = RunFolder(path, config or CONFIG)
    folder.load()
    folder.save(STATE, Position(step=7, saves=1, history=[{"loss": 0.1}]), None)
    folder.close()


def test_a_new_folder_has_a_configuration_and_no_state(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "new" / "run", CONFIG)
    assert folder.load() is None
    folder.close()
    written = json.loads((tmp_path / "new" / "run" / "config.json").read_text())
    assert written == {"format_version": 2, "recipe": "tiny", "seed": 1, "rates": [0.1, 0.2]}


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    saved(tmp_path)
    folder = RunFolder(tmp_path, CONFIG)
    snapshot = folder.load()
    folder.close()
    assert snapshot is not None
    assert snapshot.position == Position(step=7, saves=1, history=[{"loss": 0.1}])
    np.testing.assert_array_equal(snapshot.arrays["parameters"]["a"]["b"], STATE.parameters["a"]["b"])
    assert [leaf.dtype for leaf in snapshot.arrays["optimizer"].values()] == [np.int32, np.float32]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"seed": 2}, "with seed = 1, but 2"),
        ({"rates": (0.1, 0.3)}, "with rates.1 = 0.2, but 0.3"),
        ({"new": 1}, "without new, but 1"),
        ({"settings": {"batch_size": 16}}, "without batch_size, but 16"),
    ],
)
def test_another_configuration_is_refused_and_the_folder_stays(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    saved(tmp_path)
    before = (tmp_path / "config.json").read_bytes()
    with pytest.raises(ConfigError, match=f"{tmp_path} holds a run {said} is asked for now: choose another folder"):
        RunFolder(tmp_path, CONFIG | changed)
    assert (tmp_path / "config.json").read_bytes() == before
    folder = RunFolder(tmp_path, CONFIG)
    assert folder.load() is not None
    folder.close()


def test_a_folder_serves_one_training_at_a_time(tmp_path: Path) -> None:
    first, second = RunFolder(tmp_path, CONFIG), RunFolder(tmp_path, CONFIG | {"seed": 2})
    first.load()
    for folder in (second, RunFolder(tmp_path, CONFIG)):
        with pytest.raises(ConfigError, match=f"another training is going on in {tmp_path}: wait"):
            folder.load()
        folder.close()
    first.save(STATE, Position(step=7, saves=1), None)
    first.close()
    first.close()
    with pytest.raises(ConfigError, match="holds a run with seed = 1, but 2"):
        second.load()
    second.close()
    again = RunFolder(tmp_path, CONFIG)
    assert again.load() is not None
    again.close()


def test_a_training_that_fails_leaves_the_folder_to_the_next(tmp_path: Path) -> None:
    with pytest.raises(TrainingError):
        run(ScriptedTask(bad_steps={3: (np.nan, 1.0)}), STAGES, (START, {}), tmp_path)
    assert len(run(ScriptedTask(), STAGES, (START, {}), tmp_path).history) == 2


def test_before_a_state_is_saved_the_configuration_may_change(tmp_path: Path) -> None:
    for seed in (1, 2):
        folder = RunFolder(tmp_path, CONFIG | {"seed": seed})
        assert folder.load() is None
        folder.close()
    assert json.loads((tmp_path / "config.json").read_text())["seed"] == 2


def test_a_damaged_configuration_is_named(tmp_path: Path) -> None:
    saved(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ConfigError, match=r"config\.json is damaged"):
        RunFolder(tmp_path, CONFIG)


def cut(state: Path) -> None:
    """Half of every file is lost."""
    for file in state.rglob("*"):
        if file.is_file():
            os.truncate(file, file.stat().st_size // 2)


def alter(state: Path) -> None:
    """A byte of the arrays, which in so small a state lie in one file of `arrays/d`, is another."""
    (file,) = (state / "arrays" / "d").iterdir()
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))


def lose(state: Path) -> None:
    """The progress is gone."""
    shutil.rmtree(state / "progress")


class Messages(SilentProgress):
    def __init__(self) -> None:
        self.told: list[str] = []

    def message(self, text: str) -> None:
        self.told.append(text)


@pytest.mark.parametrize("damage", [cut, alter, lose])
def test_the_state_before_serves_for_a_damaged_one_and_the_run_ends_as_if_nothing_had_happened(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    whole = run(ScriptedTask(), STAGES, (START, {}), tmp_path)
    before, newest = sorted((tmp_path / "state").iterdir(), key=lambda path: int(path.name))
    damage(newest)
    progress = Messages()
    again = run(ScriptedTask(), STAGES, (START, {}), tmp_path, progress=progress)
    assert progress.told[0] == (f"the saved state {newest} is damaged; the run goes on from the one before, {before}")
    assert (tmp_path / f"damaged-state-{newest.name}").is_dir()
    np.testing.assert_array_equal(again.parameters["w"], whole.parameters["w"])
    assert len(again.history) == len(whole.history)
    damage(max((tmp_path / "state").iterdir(), key=lambda path: int(path.name)))  # once more, with the same number
    again = run(ScriptedTask(), STAGES, (START, {}), tmp_path)
    np.testing.assert_array_equal(again.parameters["w"], whole.parameters["w"])


def test_a_run_whose_states_are_all_damaged_says_so_and_keeps_them(tmp_path: Path) -> None:
    run(ScriptedTask(), STAGES, (START, {}), tmp_path)
    states = sorted((tmp_path / "state").iterdir())
    for state in states:
        cut(state)
    with pytest.raises(ArtifactError, match=r"state/\d+ and .*state/\d+ are damaged.*move them away to start"):
        run(ScriptedTask(), STAGES, (START, {}), tmp_path)
    assert sorted((tmp_path / "state").iterdir()) == states


def test_two_states_are_kept(tmp_path: Path) -> None:
    run(ScriptedTask(), STAGES, (START, {}), tmp_path, LoopOptions(save_steps=1))
    assert len(list((tmp_path / "state").iterdir())) == 2


def test_a_save_takes_the_state_as_it_is_and_waits_for_no_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, goes_on = RunFolder(tmp_path, CONFIG), threading.Event()
    folder.load()
    write = folder._manager.save

    def slowly(*args: Any, **options: Any) -> Any:
        assert goes_on.wait(60)
        return write(*args, **options)

    monkeypatch.setattr(folder._manager, "save", slowly)
    changing = np.arange(3, dtype=np.float32)
    folder.save(STATE._replace(parameters={"a": {"b": changing}}), Position(step=7, saves=1), None)
    changing += 1  # as a step does that computes in the memory of its arguments
    goes_on.set()
    folder.close()
    again = RunFolder(tmp_path, CONFIG)
    snapshot = again.load()
    again.close()
    assert snapshot is not None
    np.testing.assert_array_equal(snapshot.arrays["parameters"]["a"]["b"], np.arange(3))


def test_a_write_that_fails_is_said_at_the_next_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder(tmp_path, CONFIG)
    folder.load()

    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("the cable is out")

    with monkeypatch.context() as patch:
        patch.setattr(folder._manager, "save", fail)
        folder.save(STATE, Position(saves=1), None)
        with pytest.raises(TrainingError, match=rf"cannot be saved in {tmp_path} \(the cable is out\): make room"):
            folder.save(STATE, Position(saves=2), None)
    folder.save(STATE, Position(saves=3), None)
    folder.close()


def test_a_run_goes_on_with_another_number_of_devices(tmp_path: Path) -> None:
    """In the middle of an epoch, so that the recurrent state is cut anew too."""
    stages, options = [CLIPPED], LoopOptions(save_steps=4)
    whole = run(language_model_task(), stages)
    with pytest.raises(Interruption):
        run(language_model_task(), stages, folder=tmp_path, options=options, progress=StopAt(BATCHES))
    result = run(language_model_task(4), stages, folder=tmp_path, options=options, devices=4)
    found = flatten(result.parameters)
    for path, leaf in flatten(whole.parameters).items():
        np.testing.assert_allclose(found[path], leaf, atol=1e-5, err_msg=path)
