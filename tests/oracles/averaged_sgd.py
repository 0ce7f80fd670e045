"""SGD with clipping, a coupled penalty and an average over the kept iterates, in plain NumPy float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class NumpyAveragedSgd:
    """Keeps every iterate after `averaging` was set, and averages when asked."""

    def __init__(self, value: NDArray, weight_decay: float, max_norm: float | None):
        self.value = np.array(value, np.float64)
        self.weight_decay, self.max_norm = weight_decay, max_norm
        self.averaging, self.iterates = False, []

    def step(self, gradient: NDArray, rate: float) -> None:
        gradient = np.asarray(gradient, np.float64)
        if self.max_norm is not None:
            gradient = gradient * min(1.0, self.max_norm / (np.sqrt((gradient**2).sum()) + 1e-6))
        self.value = self.value - rate * (gradient + self.weight_decay * self.value)
        if self.averaging:
            self.iterates.append(self.value)

    def average(self) -> NDArray:
        return np.mean(self.iterates, axis=0) if self.iterates else self.value
