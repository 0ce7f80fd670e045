"""A run folder: the resolved configuration, the table of epochs and the state from which the same command goes on.

    config.json      what the run was asked to do; once a state is saved, a second start has to ask for the same
    metrics.jsonl    one line per finished epoch
    state/NUMBER/    Orbax: parameters, optimiser, recurrent state (`arrays`), position, history and the SHA-256 of the
                     arrays (`progress`)

Arrays are saved as NumPy arrays without a device axis, so a run goes on with another number of devices. The two newest
states are kept.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from ulmfit_jax.errors import ArtifactError
from ulmfit_jax.nn.parameters import Tree, parameters_fingerprint
from ulmfit_jax.training.folder_lock import FolderLock
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.processes import first_process_first, is_first, orbax_alone
from ulmfit_jax.training.run_configuration import (
    check_configuration,
    compare_configuration,
    write_atomically,
    write_configuration,
)
from ulmfit_jax.training.state_writer import StateWriter
from ulmfit_jax.training.task import TrainState

FORMAT_VERSION = 2


@dataclass
class Position:
    """Where a run stands: everything besides arrays that the rest of the run depends on.

    Attributes:
        stage: index of the current stage.
        epoch: finished epochs of this stage.
        batch: finished batches of this epoch.
        step: finished steps of the whole run.
        smoothed: training loss as an exponential mean (not yet debiased), and `smoothed_steps` that went into it.
        seconds: time spent on the current epoch.
        history: rows of the finished epochs.
        best: best value of the measure that decides which parameters are kept, None before the first.
        stage_best: the same among the epochs of this stage.
        stale_epochs: epochs of this stage since that one.
        saves: states saved so far; the newest one's number.
        skipped: steps so far that were left out because a number was not finite.
    """

    stage: int = 0
    epoch: int = 0
    batch: int = 0
    step: int = 0
    smoothed: float = 0.0
    smoothed_steps: int = 0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    best: float | None = None
    stage_best: float | None = None
    stale_epochs: int = 0
    saves: int = 0
    skipped: int = 0


@dataclass(frozen=True)
class Snapshot:
    """A saved state: position, host arrays of the training state and, where kept, of the best parameters."""

    position: Position
    arrays: Tree


class RunFolder:
    """The folder of one run."""

    def __init__(self, path: Path, config: dict[str, Any]):
        """Choose the folder of the run that `config` describes; it is neither made nor locked before `load`.

        Args:
            path: the folder.
            config: plain values; data and code do not belong in it, their fingerprints do.

        Raises:
            ConfigError: the folder holds a run of another configuration; the message names the first difference.
        """
        self.path = path
        self._config = json.loads(json.dumps({"format_version": FORMAT_VERSION, **config}))
        check_configuration(path, self._config)
        self._lock: FolderLock | None = None
        self._manager: Any = None
        self._writer: Any = None

    def save(self, state: TrainState, position: Position, best: Tree | None) -> None:
        """Save a state: it is copied here, and written in the background while training goes on.

        Args:
            state: the state, its `carry` gathered (`Devices.gather`).
            position: where the run stands.
            best: the best parameters and statistics so far.

        Raises:
            TrainingError: the state before could not be written.
        """
        if not is_first():
            return
        arrays: Tree = {
            "parameters": _copy(state.parameters),
            "statistics": _copy(state.statistics),
            "optimizer": _leaves(_copy(state.optimizer)),
            "carry": _leaves(jax.tree.map(lambda array: Devices.join_rows(array, 0), _copy(state.carry))),
            "best": best or {},
        }
        arrays = {name: tree for name, tree in arrays.items() if jax.tree.leaves(tree)}
        self._writer.write(position.saves, arrays, asdict(position))

    def load(self, tell: Callable[[str], None] = lambda message: None) -> Snapshot | None:
        """Open the folder for this training, until `close`: the newest state that is whole, or None in a new folder.

        A damaged one is moved out of the way, to `damaged-state-NUMBER`, and the one before it serves; `tell` gets a
        sentence that names both.

        Raises:
            ArtifactError: all states are damaged.
            ConfigError: another training is going on in the folder, or it holds one of another configuration.
        """
        with first_process_first("the newest state"):
            self._open()
            return self._newest(tell)

    def _open(self) -> None:
        """The first process holds the folder; others only read the state there."""
        alone = orbax_alone()
        if is_first():
            (self.path / "state").mkdir(parents=True, exist_ok=True)
            self._lock = FolderLock(self.path)
            write_configuration(self.path, self._config)
            options = ocp.CheckpointManagerOptions(
                max_to_keep=2, create=False, cleanup_tmp_directories=True, multiprocessing_options=alone
            )
        else:
            compare_configuration(self.path, self._config)
            options = ocp.CheckpointManagerOptions(read_only=True, create=False, multiprocessing_options=alone)
        self._manager = ocp.CheckpointManager((self.path / "state").absolute(), options=options)
        self._writer = StateWriter(self._manager, self.path)

    def _newest(self, tell: Callable[[str], None]) -> Snapshot | None:
        damaged: dict[Path, Exception] = {}
        for number in sorted(self._manager.all_steps(), reverse=True):
            place = self.path / "state" / str(number)
            try:
                snapshot = self._restored(number)
            except (MemoryError, PermissionError):
                raise  # which says nothing about the state
            # Orbax passes on whatever TensorStore, the JSON reader or the system has raised.
            except Exception as error:
                damaged[place] = error
                continue
            for found in damaged:
                _move_away(found, self.path / f"damaged-state-{found.name}")
                tell(f"the saved state {found} is damaged; the run goes on from the one before, {place}")
            if damaged:
                self._manager.reload()
            return snapshot
        if damaged:
            named, last = " and ".join(map(str, damaged)), [*damaged.values()][-1]
            raise ArtifactError(
                f"the saved states {named} are damaged and there is no other ({_first_line(last)}): move them away to "
                "start from the beginning"
            ) from last
        return None

    def _restored(self, number: int) -> Snapshot:
        items = ocp.args.Composite(arrays=ocp.args.StandardRestore(), progress=ocp.args.JsonRestore())
        restored = self._manager.restore(number, args=items)
        progress, arrays = dict(restored["progress"]), restored["arrays"]
        if progress.pop("arrays_sha256") != parameters_fingerprint(arrays):
            raise ArtifactError(f"the arrays of state {number} are not those that were saved")
        return Snapshot(Position(**progress), arrays)

    def write_metrics(self, history: list[dict[str, Any]]) -> None:
        """Write the table of epochs, whole: a resumed run has neither a gap nor a double row."""
        if is_first():
            write_atomically(self.path / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in history))

    def close(self) -> None:
        """Wait for the last save to be committed, and leave the folder to others; for a second time does nothing.

        Raises:
            TrainingError: it could not be written.
        """
        writer, self._writer = self._writer, None
        try:
            if writer is not None:
                writer.close()
        finally:
            if self._lock is not None:
                self._lock.release()


def restore_state(snapshot: Snapshot, template: TrainState, devices: Devices) -> TrainState:
    """The saved training state, placed on the devices; `template` gives the structure of optimiser state and carry."""
    arrays = snapshot.arrays
    carry = _from_leaves(template.carry, arrays.get("carry", {}))
    return TrainState(
        parameters=devices.replicate(arrays["parameters"]),
        statistics=devices.replicate(arrays.get("statistics", {})),
        optimizer=devices.replicate(_from_leaves(template.optimizer, arrays.get("optimizer", {}))),
        carry=devices.scatter(jax.tree.map(lambda array: devices.split_rows(np.asarray(array), 0), carry)),
    )


def _copy(tree: Any) -> Any:
    """NumPy arrays of their own: on a CPU the others share memory that the next step is free to use."""
    return jax.tree.map(np.array, jax.device_get(tree))


def _leaves(tree: Any) -> Tree:
    return {f"{index:04d}": leaf for index, leaf in enumerate(jax.tree.leaves(tree))}


def _from_leaves(template: Any, leaves: Tree) -> Any:
    structure = jax.tree.structure(template)
    return jax.tree.unflatten(structure, [leaves[name] for name in sorted(leaves)])


def _first_line(error: Exception) -> str:
    """What an error says, shortened."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _move_away(source: Path, target: Path) -> None:
    """Rename a folder; what an earlier accident left under the new name is removed."""
    if target.exists():
        shutil.rmtree(target)
    source.rename(target)
