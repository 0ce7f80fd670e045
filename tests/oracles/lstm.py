"""An LSTM layer and its gradients, one row and one step at a time, in NumPy float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * x))


def lstm_cell(gates: Array, cell: Array) -> tuple[Array, Array]:
    """Hidden state and cell after one step, from the gates' sums [4 * hidden]; gates in the order i, f, g, o."""
    i, f, g, o = np.split(gates, 4)
    cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(cell), cell


def lstm(projected: Array, kernel: Array, hidden: Array, cell: Array) -> tuple[Array, Array, Array]:
    """Outputs [time, batch, hidden], last hidden state and last cell, from `projected` [time, batch, 4 * hidden]."""
    hidden, cell = hidden.copy(), cell.copy()
    outputs = np.zeros((*projected.shape[:2], kernel.shape[0]))
    for t in range(projected.shape[0]):
        for row in range(projected.shape[1]):
            hidden[row], cell[row] = lstm_cell(projected[t, row] + hidden[row] @ kernel, cell[row])
            outputs[t, row] = hidden[row]
    return outputs, hidden, cell


def lstm_gradients(
    projected: Array, kernel: Array, hidden: Array, cell: Array, d_outputs: Array, d_hidden: Array, d_cell: Array
) -> tuple[Array, Array, Array, Array]:
    """Back-propagation through time by hand: gradients of `projected`, `kernel`, `hidden` and `cell`.

    `d_outputs` weighs the outputs, `d_hidden` and `d_cell` the last state.
    """
    d_projected, d_kernel = np.zeros_like(projected), np.zeros_like(kernel)
    d_first_hidden, d_first_cell = np.zeros_like(hidden), np.zeros_like(cell)
    for row in range(projected.shape[1]):
        hiddens, cells = [hidden[row]], [cell[row]]
        for t in range(projected.shape[0]):
            h, c = lstm_cell(projected[t, row] + hiddens[t] @ kernel, cells[t])
            hiddens.append(h)
            cells.append(c)
        dh, dc = d_hidden[row], d_cell[row]
        for t in reversed(range(projected.shape[0])):
            i, f, g, o = np.split(projected[t, row] + hiddens[t] @ kernel, 4)
            dh = dh + d_outputs[t, row]
            dc = dc + dh * sigmoid(o) * (1 - np.tanh(cells[t + 1]) ** 2)
            d_i = dc * np.tanh(g) * sigmoid(i) * (1 - sigmoid(i))
            d_f = dc * cells[t] * sigmoid(f) * (1 - sigmoid(f))
            d_g = dc * sigmoid(i) * (1 - np.tanh(g) ** 2)
            d_o = dh * np.tanh(cells[t + 1]) * sigmoid(o) * (1 - sigmoid(o))
            d_projected[t, row] = np.concatenate([d_i, d_f, d_g, d_o])
            d_kernel += np.outer(hiddens[t], d_projected[t, row])
            dh, dc = kernel @ d_projected[t, row], dc * sigmoid(f)
        d_first_hidden[row], d_first_cell[row] = dh, dc
    return d_projected, d_kernel, d_first_hidden, d_first_cell
