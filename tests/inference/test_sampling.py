"""The limits of a draw against their definitions, written out one token at a time."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulmfit_jax.errors import ConfigError
from ulmfit_jax.inference.sampling import Sampling, allowed


def softmax(scores: np.ndarray) -> np.ndarray:
    exponentials = np.exp(scores - scores.max())
    return exponentials / exponentials.sum()


def expected(scores: np.ndarray, sampling: Sampling) -> set[int]:
    """The tokens that may be drawn."""
    order = np.argsort(-scores, kind="stable")
    heated = softmax(scores / sampling.temperature)
    kept, total = set(), 0.0
    for rank, token in enumerate(order):
        if rank and (
            total >= sampling.top_p
            or (sampling.top_k and rank >= sampling.top_k)
            or softmax(scores)[token] < sampling.min_p
        ):
            break
        kept.add(int(token))
        total += heated[token]
    return kept


@pytest.mark.slow
@given(
    scores=st.lists(st.integers(-40, 40), min_size=1, max_size=12, unique=True),
    temperature=st.sampled_from([0.3, 1.0, 2.5]),
    top_k=st.integers(0, 14),
    top_p=st.sampled_from([0.05, 0.5, 0.83, 1.0]),
    min_p=st.sampled_from([0.0, 0.013, 0.2, 0.77]),
)
def test_the_tokens_that_may_be_drawn(
    scores: list[int], temperature: float, top_k: int, top_p: float, min_p: float
) -> None:
    sampling = Sampling(temperature, top_k, top_p, min_p)
    given_scores = np.array(scores, np.float32) / 8
    limits = [np.float32(temperature), np.int32(top_k), np.float32(top_p), np.float32(min_p)]
    found = np.asarray(allowed(jnp.asarray(given_scores), *limits))
    wanted = expected(given_scores.astype(np.float64), sampling)
    edge = softmax(given_scores.astype(np.float64) / temperature)
    sums = np.cumsum(np.sort(edge)[::-1])
    if np.abs(sums - top_p).min() > 1e-5:  # a sum at the limit falls to either side by rounding
        assert set(np.flatnonzero(np.isfinite(found)).tolist()) == wanted
    best = given_scores.argmax()
    assert found[best] == pytest.approx(given_scores[best] / temperature, rel=1e-6)
    if not sampling.ranks:
        unranked = np.asarray(allowed(jnp.asarray(given_scores), *limits, ranks=False))
        np.testing.assert_array_equal(unranked, found)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_k": -2}, "top_k is -2"),
        ({"top_p": 1.5}, "top_p is 1.5"),
        ({"min_p": 1.0}, "min_p is 1.0"),
    ],
)
def test_numbers_out_of_range(options: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Sampling(**options)  # type: ignore[arg-type]
