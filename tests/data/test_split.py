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
    if any(list(first_label.values()).count(label) < 2 for label in set(labels)):
        with pytest.raises(DataError, match="at least two different texts of each class"):
            train_validation_split(texts, labels, fraction=fraction, seed=seed)
        return
    training, validation = train_validation_split(texts, labels, fraction=fraction, seed=seed)
    assert training.dtype == validation.dtype == np.int64
    assert sorted([*training, *validation]) == list(range(len(texts)))
    assert np.all(np.diff(training) > 0)
    assert np.all(np.diff(validation) > 0)
    assert not {texts[i] for i in training} & {texts[i] for i in validation}
    for part in (training, validation):
        assert {labels[i] for i in part} == set(labels)


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
    with pytest.raises(DataError, match="The class 'b' has 1 different text"):
        train_validation_split(["x", "y", "z", "z"], ["a", "a", "b", "b"])
    with pytest.raises(DataError, match="The data has 1 different text"):
        train_validation_split(["x", "x"])
    with pytest.raises(DataError, match="2 texts and 1 labels"):
        train_validation_split(["x", "y"], ["a"])
    for fraction in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match="fraction"):
            train_validation_split(["x", "y"], fraction=fraction)
    with pytest.raises(ConfigError, match="seed"):
        train_validation_split(["x", "y"], seed=-1)
