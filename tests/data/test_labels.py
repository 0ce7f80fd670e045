from __future__ import annotations

import numpy as np
import pytest

from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.labels import check_labels, label_indices
from ulmfit_jax.errors import DataError


def labelled(*labels: str) -> TextDataset:
    return TextDataset(["x"] * len(labels), list(labels), "reviews.csv")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["pos", "neg", "pos"], ("neg", "pos")),
        (["10", "9", "-1"], ("-1", "9", "10")),
        (["10", "9", "b"], ("10", "9", "b")),
        (["01", "1"], ("01", "1")),
    ],
)
def test_classes_are_sorted_numbers_by_value(labels, classes):
    assert check_labels(labelled(*labels)) == classes


def test_indices_follow_the_classes_given():
    indices = label_indices(labelled("b", "a", "b"), ["b", "c", "a"])
    assert indices.tolist() == [0, 2, 0]
    assert indices.dtype == np.int32


def test_no_texts_at_all_are_named_so():
    with pytest.raises(DataError, match=r"reviews\.csv has no texts"):
        check_labels(labelled())


def test_errors():
    with pytest.raises(DataError, match=r"reviews.csv has only the class 'pos' \(2 examples\)"):
        check_labels(labelled("pos", "pos"))
    with pytest.raises(DataError, match=r"reviews.csv, example 2 has the label 'meh'.*'neg', 'pos'"):
        check_labels(labelled("pos", "meh"), ["neg", "pos"])
    with pytest.raises(DataError, match=r"'neg', 'pos'\. Is 'pos' meant\? Other unknown labels: 'meh', 'neq'\.$"):
        check_labels(labelled("neg", "Pos", "meh", "neq"), ["neg", "pos"])
    with pytest.raises(
        DataError, match=r"'10', '2'\. Other unknown labels: '3'\. None of its labels is known: is that"
    ):
        check_labels(labelled("100", "3"), ["10", "2"])
    with pytest.raises(DataError, match=r"has the label 'it was a.*at the end', which .* 'neg', 'pos'\.$"):
        check_labels(labelled("it was a very long day" * 9 + "at the end", "neg"), ["neg", "pos"])
    with pytest.raises(DataError, match="example 1 has the label 'x'"):
        label_indices(labelled("x"), ["neg", "pos"])
    for check in (check_labels, lambda dataset: label_indices(dataset, ["a"])):
        with pytest.raises(DataError, match=r"reviews.csv has no labels"):
            check(TextDataset(["x"], None, "reviews.csv"))


def test_a_single_class_may_be_evaluated():
    assert check_labels(labelled("pos"), ["neg", "pos"]) == ("neg", "pos")
