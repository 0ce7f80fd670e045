from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ulmfit_jax.nn.dropout import embedding_row_mask, keep_mask, locked_mask

KEY = jax.random.key(7)


@pytest.mark.parametrize("rate", [0.0, 0.02, 0.25, 0.5, 0.97])
def test_a_mask_drops_at_its_rate_and_keeps_the_mean(rate: float) -> None:
    size = 200_000
    mask = np.asarray(keep_mask(KEY, rate, (size,)))
    assert mask.dtype == np.float32
    assert set(np.unique(mask)) <= {np.float32(0), np.float32(1 / (1 - rate))}
    assert (mask == 0).mean() == pytest.approx(rate, abs=5 * (rate * (1 - rate) / size) ** 0.5)


def test_elements_of_a_mask_are_independent_of_their_neighbours() -> None:
    dropped = np.asarray(keep_mask(KEY, 0.5, (500, 200))) == 0
    for one, other in [(dropped[1:], dropped[:-1]), (dropped[:, 1:], dropped[:, :-1])]:
        assert (one == other).mean() == pytest.approx(0.5, abs=0.01)


@settings(max_examples=15)
@given(
    rows=st.lists(st.integers(0, 2**31 - 1), min_size=6, max_size=6, unique=True),
    cut=st.sampled_from([1, 2, 3]),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_row_s_mask_depends_on_its_number_alone(rows: list[int], cut: int, seed: int) -> None:
    key, numbers = jax.random.key(seed), np.array(rows, np.int32)
    whole = np.asarray(locked_mask(key, 0.5, numbers, 64))
    pieces = [locked_mask(key, 0.5, numbers[i : i + cut], 64) for i in range(0, 6, cut)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    np.testing.assert_array_equal(locked_mask(key, 0.5, numbers[::-1], 64), whole[::-1])
    assert len({row.tobytes() for row in whole}) == len(rows)


def test_other_keys_give_other_masks() -> None:
    rows = np.arange(4, dtype=np.int32)
    one, other = (np.asarray(locked_mask(jax.random.key(i), 0.5, rows, 64)) for i in range(2))
    assert (one == other).mean() == pytest.approx(0.5, abs=0.15)


def test_the_embedding_mask_has_one_element_a_vocabulary_row() -> None:
    mask = np.asarray(embedding_row_mask(KEY, 0.1, 10_000))
    assert mask.shape == (10_000,)
    assert (mask == 0).mean() == pytest.approx(0.1, abs=0.02)
