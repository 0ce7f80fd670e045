from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import Array

from oracles.lstm import lstm, lstm_gradients
from ulmfit_jax.nn import recurrence as choice
from ulmfit_jax.nn import recurrence_columns, recurrence_rows
from ulmfit_jax.nn.lstm_state import LstmState
from ulmfit_jax.nn.recurrence import recurrence, recurrence_reference

FORMS = {"columns": recurrence_columns, "rows": recurrence_rows, "reference": None}
"""The forms of the fast recurrence, and the plain one."""


def values_and_gradients(form: str, *arrays: np.ndarray) -> tuple:
    """Of one of `FORMS`, whatever the platform would choose."""
    module = FORMS[form]
    with mock.patch.object(choice, "platform_form", return_value=module):
        return _values_and_gradients(recurrence_reference if module is None else recurrence, module, *arrays)


@partial(jax.jit, static_argnums=(0, 1))
def _values_and_gradients(  # type: ignore[no-untyped-def]
    form: Callable, module, projected, kernel, hidden, cell, d_outputs, d_hidden, d_cell, ends=None
):
    def run(projected: Array, kernel: Array, state: LstmState) -> tuple[Array, LstmState]:
        return form(projected, kernel, state, ends)

    (outputs, final), pull_back = jax.vjp(run, projected, kernel, LstmState(hidden, cell))
    d_projected, d_kernel, d_state = pull_back((d_outputs, LstmState(d_hidden, d_cell)))
    return (outputs, final.hidden, final.cell), (d_projected, d_kernel, d_state.hidden, d_state.cell)


def drawn(seed: int, time: int, batch: int, hidden: int, scale: float) -> list[np.ndarray]:
    """Arguments of `values_and_gradients`: input projection, kernel, first state and cotangents, none of them zero."""
    random = np.random.default_rng(seed)
    state, sequence = (batch, hidden), (time, batch, hidden)
    shapes = [(time, batch, 4 * hidden), (hidden, 4 * hidden), state, state, sequence, state, state]
    arrays = [random.normal(size=shape).astype(np.float32) for shape in shapes]
    arrays[0] *= np.float32(scale)
    return arrays


@settings(max_examples=20)
@given(
    seed=st.integers(0, 2**32 - 1),
    time=st.sampled_from([1, 2, 7]),
    batch=st.sampled_from([1, 3]),
    hidden=st.sampled_from([1, 5]),
    scale=st.sampled_from([1.0, 40.0]),
)
@pytest.mark.parametrize("form", FORMS)
def test_values_and_gradients_are_those_of_the_numpy_twin(
    form: str, seed: int, time: int, batch: int, hidden: int, scale: float
) -> None:
    arrays = drawn(seed, time, batch, hidden, scale)
    values, gradients = values_and_gradients(form, *arrays)
    projected, kernel, first_hidden, first_cell, *cotangents = (array.astype(np.float64) for array in arrays)
    expected_values = lstm(projected, kernel, first_hidden, first_cell)
    expected_gradients = lstm_gradients(projected, kernel, first_hidden, first_cell, *cotangents)
    for value, expected in zip([*values, *gradients], [*expected_values, *expected_gradients], strict=True):
        assert value.dtype == jnp.float32
        np.testing.assert_allclose(value, expected, rtol=2e-5, atol=2e-5)


def test_the_twin_s_gradients_are_the_slopes_of_its_values() -> None:
    arrays = [array.astype(np.float64) for array in drawn(0, 3, 2, 2, 1.0)]
    arguments, cotangents = arrays[:4], arrays[4:]

    def total() -> float:
        return sum(float((part * weight).sum()) for part, weight in zip(lstm(*arguments), cotangents, strict=True))

    for argument, gradient in zip(arguments, lstm_gradients(*arguments, *cotangents), strict=True):
        for index in np.ndindex(argument.shape):
            kept = argument[index]
            argument[index] = kept + 1e-5
            above = total()
            argument[index] = kept - 1e-5
            slope = (above - total()) / 2e-5
            argument[index] = kept
            assert slope == pytest.approx(gradient[index], rel=1e-6, abs=1e-8)


def test_states_carried_over_pieces_give_the_whole() -> None:
    projected, kernel, hidden, cell = drawn(1, 7, 3, 5, 1.0)[:4]
    outputs, final = recurrence(projected, kernel, LstmState(hidden, cell))
    first, state = recurrence(projected[:2], kernel, LstmState(hidden, cell))
    second, state = recurrence(projected[2:], kernel, state)
    np.testing.assert_allclose(jnp.concatenate([first, second]), outputs, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(state.cell, final.cell, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(final.hidden, outputs[-1])


def rows_read_apart(arrays: list[np.ndarray], ends: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The NumPy twin's values and gradients where each row's documents are layers' inputs of their own: only the first
    begins from the given state, and only a last one that has not ended hands its state on."""
    projected, kernel, hidden, cell, d_outputs, d_hidden, d_cell = (array.astype(np.float64) for array in arrays)
    time, batch = ends.shape
    outputs, last_hidden, last_cell = np.zeros_like(d_outputs), np.zeros_like(hidden), np.zeros_like(cell)
    gradients = [np.zeros_like(array) for array in (projected, kernel, hidden, cell)]
    for row in range(batch):
        cuts = [0, *(np.flatnonzero(ends[:, row]) + 1), time]
        for begin, end in pairwise(cuts):
            if begin == end:
                continue
            place, zero = np.s_[begin:end, row : row + 1], np.zeros((1, hidden.shape[1]))
            state = (hidden[row : row + 1], cell[row : row + 1]) if begin == 0 else (zero, zero)
            handed_on = end == time and not ends[-1, row]
            d_last = (d_hidden[row : row + 1], d_cell[row : row + 1]) if handed_on else (zero, zero)
            outputs[place], document_hidden, document_cell = lstm(projected[place], kernel, *state)
            parts = lstm_gradients(projected[place], kernel, *state, d_outputs[place], *d_last)
            gradients[0][place] = parts[0]
            gradients[1] += parts[1]
            if begin == 0:
                gradients[2][row], gradients[3][row] = parts[2][0], parts[3][0]
            if handed_on:
                last_hidden[row], last_cell[row] = document_hidden[0], document_cell[0]
    return [outputs, last_hidden, last_cell], gradients


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), time=st.sampled_from([1, 2, 7]), often=st.sampled_from([0.0, 0.3, 1.0]))
@pytest.mark.parametrize("form", FORMS)
def test_a_document_s_end_makes_the_state_zero(form: str, seed: int, time: int, often: float) -> None:
    arrays = drawn(seed, time, 3, 5, 1.0)
    ends = np.random.default_rng(seed).random((time, 3)) < often
    values, gradients = values_and_gradients(form, *arrays, ends)
    expected_values, expected_gradients = rows_read_apart(arrays, ends)
    for value, expected in zip([*values, *gradients], [*expected_values, *expected_gradients], strict=True):
        np.testing.assert_allclose(value, expected, rtol=2e-5, atol=2e-5)
