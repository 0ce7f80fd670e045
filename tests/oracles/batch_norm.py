"""Batch normalisation with torch's conventions over the rows that count, in NumPy float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class NumpyBatchNorm:
    """`train` normalises rows with their own moments and moves the running ones; `evaluate` uses those."""

    def __init__(self, scale: Array, bias: Array, mean: Array, variance: Array):
        self.scale, self.bias = np.array(scale, np.float64), np.array(bias, np.float64)
        self.mean, self.variance = np.array(mean, np.float64), np.array(variance, np.float64)

    def train(self, rows: Array) -> Array:
        mean, biased = rows.mean(axis=0), rows.var(axis=0)
        unbiased = rows.var(axis=0, ddof=1)
        self.mean = 0.9 * self.mean + 0.1 * mean
        self.variance = 0.9 * self.variance + 0.1 * unbiased
        return (rows - mean) / np.sqrt(biased + 1e-5) * self.scale + self.bias

    def evaluate(self, rows: Array) -> Array:
        return (rows - self.mean) / np.sqrt(self.variance + 1e-5) * self.scale + self.bias
