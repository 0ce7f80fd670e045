from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulmfit_jax.data.split import train_validation_split
from ulmfit_jax.errors import ConfigError, DataError

fractions = st.floats(0.01, 0.99)
seeds = st.integers(0, 5)


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc")), min_size=1, max_size=120), fractions, seeds)
def test_a_partition_without_texts_on_both_sides(examples, fraction, seed):
    texts, labels = [str(text) for text, _ in examples], [label for _, label in examples]
    first_label = dict(reversed([*zip(texts, labels, strict=True)]))
    texts_of = Counter(first_label.values())
    few = {label for label in labels if texts_of[label] < 2}
    bound = {text for text, label in zip(texts, labels, strict=True) if label in few}
    if set(texts) == bound:
        with pytest.raises(DataError, match="No class has two different texts"):
            train_validation_split(texts, labels, fraction=fraction, seed=seed)
        return
    training, validation = train_validation_split(texts, labels, fraction=fraction, seed=seed)
    assert training.dtype == validation.dtype == np.int64
    assert sorted([*training, *validation]) == list(range(len(texts)))
    assert np.all(np.diff(training) > 0)
    assert np.all(np.diff(validation) > 0)
    assert not {texts[i] for i in training} & {texts[i] for i in validation}
    assert {labels[i] for i in training} == set(labels)
    assert not {labels[i] for i in validation} & few
    if not few:
        assert {labels[i] for i in validation} == set(labels)


@given(st.lists(st.sampled_from("aab"), min_size=30, max_size=200), fractions, seeds)
def test_every_class_gives_its_share_of_different_texts(labels, fraction, seed):
    counts = Counter(labels)
    if min(counts.values()) < 2:
        return
    _, validation = train_validation_split([str(i) for i in range(len(labels))], labels, fraction=fraction, seed=seed)
    for label, count in Counter(labels[i] for i in validation).items():
        assert count == min(max(round(fraction * counts[label]), 1), counts[label] - 1)


def test_the_seed_decides():
    texts = [str(i) for i in range(100)]

    def validation(seed: int) -> list[int]:
        return train_validation_split(texts, seed=seed)[1].tolist()

    assert validation(0) == validation(0)
    assert validation(0) != validation(1)
    assert len(validation(0)) == 10


def test_errors():
    with pytest.raises(DataError, match=r"none can be held out to measure on: .* validation_fraction to 0"):
        train_validation_split(["x", "x", "z", "z"], ["a", "a", "b", "b"])
    with pytest.raises(DataError, match="No class has two different texts"):
        train_validation_split(["x", "x"])
    with pytest.raises(DataError, match=r"to 0\. Each text has a label of its own: is that the column"):
        train_validation_split(["x", "y", "z"], ["1", "2", "3"])
    with pytest.raises(DataError, match="2 texts and 1 label;"):
        train_validation_split(["x", "y"], ["a"])
    for fraction in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match="fraction"):
            train_validation_split(["x", "y"], fraction=fraction)
    with pytest.raises(ConfigError, match="seed"):
        train_validation_split(["x", "y"], seed=-1)
