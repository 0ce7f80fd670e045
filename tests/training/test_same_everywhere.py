"""Processes of one run that could not compute together, told apart by what each would find out; no second process."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from ulmfit_jax.errors import ConfigError
from ulmfit_jax.training import processes
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.processes import check_same_everywhere

PARAMETERS = {"w": np.arange(3, dtype=np.float32)}


@pytest.mark.parametrize("other", [-5, 0, 5])
def test_other_parameters_elsewhere_are_refused(other: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process has a fingerprint that is larger or smaller by `other`."""
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(
        processes, "largest_of_all", lambda own: (max(own[0], own[0] + other), max(own[1], own[1] - other))
    )
    if other == 0:
        check_same_everywhere(PARAMETERS)
        return
    with pytest.raises(ConfigError, match="different parameters to start from"):
        check_same_everywhere(PARAMETERS)


def test_processes_use_all_their_devices_and_have_as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(ConfigError, match="a run of several processes uses all that they have"):
        Devices(1)
    with pytest.raises(ConfigError, match="different numbers of devices: give each as many"):
        Devices()  # this process has as many as there are in all
