"""The one place where a step is mapped over devices: `jax.pmap`, exchangeable here alone.

A mapped function is written for one device, with the axis name `DEVICE_AXIS`. Replicated arguments and results
(parameters, optimiser state, scalars) have no device axis; arrays of rows have one, made by `split_rows` and undone by
`join_rows`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.classifier import DEVICE_AXIS

REPLICATED = None
"""Axis of an argument or result that is the same on all devices."""


class Devices:
    """The devices that a run uses."""

    def __init__(self, count: int | None = None):
        """Use the first `count` devices of this process; all of them by default.

        Raises:
            ConfigError: there are fewer, or the platform that JAX was told to use cannot be had.
        """
        try:
            available = jax.local_devices()
        except (RuntimeError, AssertionError) as error:  # JAX asserts for a platform it was not built for
            wanted = os.environ.get("JAX_PLATFORMS", "")
            raise ConfigError(
                f"JAX finds no device of the platform {wanted or 'it was told to use'}: "
                "change or unset JAX_PLATFORMS, or install JAX for that platform"
            ) from error
        if count is not None and not 1 <= count <= len(available):
            raise ConfigError(
                f"devices: {count} asked for, but this machine offers {len(available)} {available[0].platform}"
            )
        self.devices: Sequence[jax.Device] = available[:count]

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
        return jax.pmap(
            function,
            axis_name=DEVICE_AXIS,
            in_axes=tuple(in_axes),
            out_axes=out_axes,
            devices=self.devices,
            donate_argnums=tuple(donate),
        )

    def check_batch(self, batch_size: int) -> None:
        """Raise a ConfigError unless a batch divides over the devices."""
        if batch_size % len(self):
            raise ConfigError(
                f"batch_size {batch_size} does not divide over {len(self)} devices: choose a multiple of {len(self)}"
            )

    def split_rows(self, array: np.ndarray, axis: int) -> np.ndarray:
        """Cut the batch `axis` into `[devices, batch / devices]`; the device axis is then at `axis`."""
        shape = array.shape
        return array.reshape(*shape[:axis], len(self), shape[axis] // len(self), *shape[axis + 1 :])

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

    def _place(self, tree: Any, partition: jax.sharding.PartitionSpec) -> Any:
        # Never an alias: a step that donates its state would delete the caller's arrays.
        sharding = jax.sharding.NamedSharding(jax.sharding.Mesh(np.array(self.devices), (DEVICE_AXIS,)), partition)
        return jax.device_put(tree, sharding, may_alias=False)
