"""Training states on their way to disk: hashed and written in a thread of their own while training goes on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp

from ulmfit_jax.errors import TrainingError
from ulmfit_jax.nn.parameters import Tree, parameters_fingerprint


class StateWriter:
    """Writes states one after the other; each is committed as a whole or not at all.

    Training waits only where the state before is still being written.
    """

    def __init__(self, manager: ocp.CheckpointManager, folder: Path):
        """Write with Orbax's `manager`; messages name the run's `folder`."""
        self._manager, self._folder = manager, folder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="training-states")
        self._last: Future[None] | None = None

    def write(self, number: int, arrays: Tree, progress: dict[str, Any]) -> None:
        """Write a state in the background.

        Args:
            number: of the state.
            arrays: NumPy arrays that nobody changes any more, nor frees as a step does with those that it is given.
            progress: plain values; the SHA-256 of the arrays goes with them.

        Raises:
            TrainingError: the state before could not be written.
        """
        self.wait()
        self._last = self._thread.submit(self._written, number, arrays, progress)

    def wait(self) -> None:
        """Wait until everything is committed.

        Raises:
            TrainingError: the last state could not be written.
        """
        last, self._last = self._last, None
        if last is not None:
            with self._errors_named():
                last.result()

    def close(self) -> None:
        """Wait, and let go of thread and manager.

        Raises:
            TrainingError: as `wait`.
        """
        try:
            self.wait()
        finally:
            self._thread.shutdown()
            with self._errors_named():  # Orbax raises here once more what it could not write
                self._manager.close()

    def _written(self, number: int, arrays: Tree, progress: dict[str, Any]) -> None:
        progress = {**progress, "arrays_sha256": parameters_fingerprint(arrays)}
        items = ocp.args.Composite(arrays=ocp.args.StandardSave(arrays), progress=ocp.args.JsonSave(progress))
        self._manager.save(number, args=items, force=True)
        self._manager.wait_until_finished()

    @contextlib.contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        # Orbax passes on whatever TensorStore or the system has raised.
        except Exception as error:
            reason = "there is no free disk left" if "No space left" in str(error) else str(error)[:200]
            raise TrainingError(
                f"the training state cannot be saved in {self._folder} ({reason}): "
                "make room and start the same run again, it goes on from the last saved state"
            ) from error
