"""fastai's Adam for one array in plain NumPy float64, in the order of the formulas."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class NumpyAdam:
    """Adam for one array; `step` changes `value` in place of a returned update."""

    def __init__(self, value: NDArray, weight_decay: float, sqr_momentum: float = 0.99, eps: float = 1e-5):
        self.value = np.array(value, np.float64)
        self.weight_decay, self.sqr_momentum, self.eps = weight_decay, sqr_momentum, eps
        self.mean, self.square, self.steps = np.zeros_like(self.value), np.zeros_like(self.value), 0

    def step(self, gradient: NDArray, rate: float, momentum: float) -> None:
        gradient = np.asarray(gradient, np.float64)
        self.steps += 1
        self.value = self.value * (1 - rate * self.weight_decay)
        self.mean = momentum * self.mean + (1 - momentum) * gradient
        self.square = self.sqr_momentum * self.square + (1 - self.sqr_momentum) * gradient**2
        mean = self.mean / (1 - momentum**self.steps)
        square = self.square / (1 - self.sqr_momentum**self.steps)
        self.value = self.value - rate * mean / (np.sqrt(square) + self.eps)
