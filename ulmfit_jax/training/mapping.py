"""The one place where a step is mapped over devices: `jax.pmap`, exchangeable here alone.

A mapped function is written for one device, with the axis name `DEVICE_AXIS`. Replicated arguments and results
(parameters, optimiser state, scalars) have no device axis; arrays of rows have one, made by `split_rows` and undone by
`join_rows`. In a run of several processes the devices are those of all of them, and each process gives and gets the
rows of its own.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax

from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.classifier import DEVICE_AXIS
from ulmfit_jax.nn.parameters import to_numpy
from ulmfit_jax.training.compiled_programs import make_room

REPLICATED = None
"""Axis of an argument or result that is the same on all devices."""


def available_devices() -> list[jax.Device]:
    """The devices of this process.

    Raises:
        ConfigError: JAX was told to use a platform that it cannot offer.
    """
    try:
        return jax.local_devices()
    except (RuntimeError, AssertionError) as error:  # JAX asserts for a platform it was not built for
        wanted = os.environ.get("JAX_PLATFORMS", "")
        raise ConfigError(
            f"JAX finds no device of the platform {wanted or 'it was told to use'}: "
            "change or unset JAX_PLATFORMS, or install JAX for that platform"
        ) from error


class Devices:
    """The devices that a run uses."""

    def __init__(self, count: int | None = None):
        """Use the first `count` devices of this process; all of them by default, and in a run of several processes.

        Raises:
            ConfigError: there are fewer, the platform that JAX was told to use cannot be had, or the processes cannot
                share the work.
        """
        available = available_devices()
        if count is not None and not 1 <= count <= len(available):
            raise ConfigError(
                f"{count} devices are asked for, but this machine offers {len(available)} {available[0].platform}: "
                f"give at most {len(available)}, or no number to use all"
            )
        self.devices: Sequence[jax.Device] = available[:count]
        self._own = slice(0, len(self.devices))
        """Which of the devices are this process's."""
        if jax.process_count() > 1:
            self._join_processes(count)

    def _join_processes(self, count: int | None) -> None:
        each = len(jax.local_devices())
        if count is not None:
            raise ConfigError(f"devices: {count} asked for, but a run of several processes uses all that they have")
        if len(jax.devices()) != each * jax.process_count():
            raise ConfigError("the processes of this run have different numbers of devices: give each as many")
        self.devices = sorted(jax.devices(), key=lambda device: (device.process_index, device.id))
        self._own = slice(jax.process_index() * each, (jax.process_index() + 1) * each)

    @classmethod
    def alone(cls) -> Devices:
        """One device of this process, whatever it has, also in a run of several processes, where each then computes
        what it asks for by itself."""
        devices = cls.__new__(cls)
        devices.devices, devices._own = available_devices()[:1], slice(0, 1)
        return devices

    def __len__(self) -> int:
        return len(self.devices)

    def map(
        self, function: Callable[..., Any], in_axes: Sequence[Any], out_axes: Any, donate: Sequence[int] = ()
    ) -> Callable[..., Any]:
        """`function` compiled and mapped over the devices.

        Args:
            function: works on one device's share; reduces over `DEVICE_AXIS` what it returns as replicated.
            in_axes: for each argument the position of the device axis, or `REPLICATED`.
            out_axes: the same for the results, a tuple.
            donate: arguments whose buffers may be reused for the results.
        """
        make_room()
        return jax.pmap(
            function,
            axis_name=DEVICE_AXIS,
            in_axes=tuple(in_axes),
            out_axes=out_axes,
            devices=self.devices,
            donate_argnums=tuple(donate),
        )

    def check_batch(self, batch_size: int, name: str = "batch_size") -> None:
        """Raise a ConfigError, which calls the option by its `name`, unless a batch divides over the devices."""
        if batch_size % len(self):
            raise ConfigError(
                f"{name} {batch_size} does not divide over {len(self)} devices: choose a multiple of {len(self)}"
            )

    def batch_of(self, rows: int) -> int:
        """So many rows, or as many more as it takes to divide them over the devices."""
        return -(-rows // len(self)) * len(self)

    def split_rows(self, array: np.ndarray, axis: int) -> np.ndarray:
        """Cut the batch `axis` into `[devices, batch / devices]`; the device axis is then at `axis`.

        In a run of several processes: the whole batch in, this process's devices out.
        """
        shape = array.shape
        cut = array.reshape(*shape[:axis], len(self), shape[axis] // len(self), *shape[axis + 1 :])
        return cut[(*(slice(None),) * axis, self._own)]

    @staticmethod
    def join_rows(array: np.ndarray, axis: int) -> np.ndarray:
        """The inverse of `split_rows`."""
        shape = array.shape
        return array.reshape(*shape[:axis], shape[axis] * shape[axis + 1], *shape[axis + 2 :])

    def replicate(self, tree: Any) -> Any:
        """Place a copy of a tree on every device, as a mapped function returns it (so that its first call compiles the
        only program)."""
        return self._place(tree, jax.sharding.PartitionSpec())

    def scatter(self, tree: Any) -> Any:
        """Place a copy of a tree whose arrays have the device axis first, one share on each device."""
        return self._place(tree, jax.sharding.PartitionSpec(DEVICE_AXIS))

    def gather(self, tree: Any) -> Any:
        """Arrays with the device axis first as NumPy arrays, with the shares of all devices, other processes' too."""
        has_all = len(self.devices[self._own]) == len(self)
        return to_numpy(tree if has_all or not jax.tree.leaves(tree) else self._all_shares(tree))

    @functools.cached_property
    def _all_shares(self) -> Callable[[Any], Any]:
        return self.map(lambda share: lax.all_gather(share, DEVICE_AXIS), (0,), REPLICATED)

    def _place(self, tree: Any, partition: jax.sharding.PartitionSpec) -> Any:
        # Never an alias: a step that donates its state would delete the caller's arrays.
        mesh = jax.sharding.Mesh(np.array(self.devices[self._own]), (DEVICE_AXIS,))
        sharding = jax.sharding.NamedSharding(mesh, partition)
        return jax.device_put(tree, sharding, may_alias=False)
