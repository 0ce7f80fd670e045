"""One run in several processes, on one machine or many: who writes, who waits, and how they decide alike.

The processes have found each other by `jax.distributed.initialize` before anything here is used; without it there is
one process, and nothing here does anything. Every process runs the same program on the same texts; steps are mapped
over the devices of all (`ulmfit_jax.training.mapping`), each process gives its own rows of a batch, and the first one
alone writes. A folder of the run has to be one that all of them see.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from ulmfit_jax.errors import ConfigError, TrainingError
from ulmfit_jax.nn.parameters import Tree, parameters_fingerprint
from ulmfit_jax.training.mapping import available_devices


def is_first() -> bool:
    """Whether this is the process that writes.

    Raises:
        ConfigError: JAX was told to use a platform that it cannot offer.
    """
    available_devices()
    return jax.process_index() == 0


def wait_for_all(place: str) -> None:
    """Wait until every process is at this `place`, whose name is the same for all."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(place)


@contextlib.contextmanager
def first_process_first(place: str) -> Iterator[None]:
    """What is inside is done by the first process, then by the others, which find what it has written."""
    if not is_first():
        wait_for_all(place)
    yield
    if is_first():
        wait_for_all(place)


def of_first(tree: Any) -> Any:
    """The arrays that the first process has, which may differ in their last digits from those of another."""
    return tree if jax.process_count() == 1 else multihost_utils.broadcast_one_to_all(tree)


def largest_of_all(values: tuple[int, ...]) -> tuple[int, ...]:
    """The largest of each value over the processes, so that all of them decide alike."""
    if jax.process_count() == 1:
        return values
    everywhere = multihost_utils.process_allgather(np.array(values, np.int32))
    return tuple(int(value) for value in np.asarray(everywhere).max(axis=0))


def check_same_everywhere(parameters: Tree) -> None:
    """Refuse a run whose processes do not start from the same parameters; one process alone computes nothing.

    Raises:
        ConfigError: another process has others.
    """
    if jax.process_count() == 1:
        return
    digits = int((parameters_fingerprint(parameters) or "0")[:7], 16)
    if largest_of_all((digits, -digits)) != (digits, -digits):
        raise ConfigError(
            "the processes of this run have different parameters to start from: give all of them the same texts and "
            "files"
        )


@contextlib.contextmanager
def lost_processes_named() -> Iterator[None]:
    """What the device runtime raises inside, where several processes compute together, is most often that one is gone.

    Raises:
        TrainingError: instead of the runtime's own error, whose first line it quotes.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1 or "RESOURCE_EXHAUSTED" in str(error):
            raise
        reason = str(error).splitlines()[0][:150]
        raise TrainingError(
            f"another process of this run has ended or cannot be reached ({reason}): start all of them again, "
            "they go on from the last saved state"
        ) from error


def orbax_alone() -> ocp.options.MultiprocessingOptions:
    """Orbax's options for reading or writing by this process alone: it waits for no other."""
    me = jax.process_index()
    return ocp.options.MultiprocessingOptions(primary_host=me, active_processes={me}, barrier_sync_key_prefix=str(me))
