"""Shares of the classes: estimated under a shift that is known, and scores that respect them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulmfit_jax.class_shares import shares_of_classes, with_shares

CONFUSION = np.array([[0.8, 0.1, 0.1], [0.15, 0.85, 0.2], [0.05, 0.05, 0.7]])
"""`[predicted, true]` of a made-up model."""


def drawn(shares: np.ndarray, count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """True classes with these shares, and what the model says of them."""
    truth = generator.choice(3, count, p=shares)
    return truth, np.array([generator.choice(3, p=CONFUSION[:, label]) for label in truth])


def test_where_no_mistake_explains_the_shift_the_labels_shares_stand() -> None:
    truth, first, second = np.array([0, 1, 1, 1] * 5), np.zeros(20, np.int64), np.ones(50, np.int64)
    np.testing.assert_array_equal(shares_of_classes(truth, first, second, 2), [0.25, 0.75])


@pytest.mark.parametrize("shares", [(0.5, 0.3, 0.2), (0.34, 0.33, 0.33)])
def test_texts_like_the_labelled_ones_have_their_shares(shares: tuple[float, ...]) -> None:
    """The model leans, and differently in each sample, but by chance only: the labels' shares stand."""
    for seed in range(10):
        generator = np.random.default_rng(seed)
        truth, predicted = drawn(np.array(shares), 400, generator)
        _, others = drawn(np.array(shares), 3000, generator)
        found = shares_of_classes(truth, predicted, others, 3)
        np.testing.assert_allclose(found, np.bincount(truth, minlength=3) / 400)


@pytest.mark.parametrize("shares", [(0.05, 0.9, 0.05), (0.9, 0.05, 0.05), (0.6, 0.0, 0.4)])
def test_other_shares_are_estimated(shares: tuple[float, ...]) -> None:
    """People label as many of the rare class as of the others."""
    generator = np.random.default_rng(1)
    truth, predicted = drawn(np.full(3, 1 / 3), 1500, generator)
    _, others = drawn(np.array(shares), 20_000, generator)
    found = shares_of_classes(truth, predicted, others, 3)
    assert found.sum() == pytest.approx(1)
    np.testing.assert_allclose(found, shares, atol=0.05)


@given(
    seed=st.integers(0, 1000),
    texts=st.integers(2, 400),
    classes=st.integers(2, 8),
    concentration=st.floats(0.5, 10),
)
def test_each_class_is_the_best_for_its_share(seed: int, texts: int, classes: int, concentration: float) -> None:
    generator = np.random.default_rng(seed)
    shares = generator.dirichlet(np.full(classes, concentration))
    scores = generator.normal(size=(texts, classes)) * generator.uniform(0.5, 4, classes)
    moved = with_shares(scores, shares)
    found = np.bincount(moved.argmax(axis=1), minlength=classes)
    assert np.abs(found - shares * texts).max() <= 2
    offsets = moved - scores
    np.testing.assert_allclose(offsets, np.broadcast_to(offsets[0], offsets.shape), atol=1e-9)


def test_an_absent_class_is_never_the_best() -> None:
    scores = np.random.default_rng(0).normal(size=(50, 3))
    assert set(with_shares(scores, np.array([0.5, 0.5, 0.0])).argmax(axis=1)) == {0, 1}


def test_scores_that_say_nothing_do_no_harm() -> None:
    found = with_shares(np.zeros((5, 2)), np.array([0.5, 0.5]))
    assert found.shape == (5, 2)
    assert np.isfinite(found).all()
