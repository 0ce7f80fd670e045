"""Several labels a text: lists, cells with a separator, a column for each label; indicators and splits of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulmfit_jax.data import check_labels, from_frame, label_indices, read_dataset, train_validation_split
from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.label_sets import rarest_labels
from ulmfit_jax.data.labels import label_type
from ulmfit_jax.data.lists import labelled_texts

SETS = [("a", "b"), (), ("b",)]
SOURCES: list[tuple[str, str, dict[str, Any]]] = [
    ("s.csv", "text,label\nx,b ; a;a\ny,\nz,b\n", {"label_separator": ";"}),
    ("s.tsv", "text\ttags\nx\ta|b\ny\t |\nz\tb\n", {"label_separator": "|", "label_column": "tags"}),
    ("s.csv", "text,a,b\nx,1,TRUE\ny,0,\nz,no,yes\n", {"label_column": ["a", "b"]}),
    ("s.jsonl", '{"text":"x","label":["b","a"]}\n{"text":"y","label":[]}\n{"text":"z","label":["b"]}\n', {}),
    (
        "s.jsonl",
        '{"text":"x","a":true,"b":1}\n{"text":"y","a":0}\n{"text":"z","b":1.0}\n',
        {"label_column": ["a", "b"]},
    ),
]


@pytest.mark.parametrize(("name", "content", "options"), SOURCES)
def test_every_way_to_write_them_gives_the_same(
    name: str, content: str, options: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    data = read_dataset(tmp_path / name, **options)
    assert (data.texts, data.labels, data.label_sets) == (["x", "y", "z"], None, SETS)
    assert data.targets == SETS
    assert data.select([2, 0]).label_sets == [("b",), ("a", "b")]


def test_parquet_and_frames_hold_lists(tmp_path: Path) -> None:
    frame = pandas.DataFrame({"text": ["x", "y", "z"], "labels": [["b", "a"], [], ["b"]]})
    assert from_frame(frame).label_sets == SETS
    frame.to_parquet(tmp_path / "s.parquet")
    assert read_dataset(tmp_path / "s.parquet").label_sets == SETS
    columns = pandas.DataFrame({"text": ["x", "y", "z"], "a": [1, 0, 0], "b": [True, False, True]})
    assert from_frame(columns, label_column=["a", "b"]).label_sets == SETS
    cells = pandas.DataFrame({"text": ["x", "y", "z"], "label": ["a,b", None, "b"]})
    assert from_frame(cells, label_column="label", label_separator=",").label_sets == SETS


def test_indicators_and_classes() -> None:
    data = labelled_texts(["x", "y", "z"], [{10, 9}, [], (9,)], "here")
    assert check_labels(data) == ("9", "10")
    np.testing.assert_array_equal(label_indices(data, ("9", "10")), [[1, 1], [0, 0], [1, 0]])
    assert label_type([{10, 9}, [], (9,)]) == "int"
    assert label_type([["a"], []]) is None
    assert label_type([[], []]) is None


def test_label_lines_tell_labels_apart() -> None:
    one = TextDataset(["x"], None, "", [("a, b",)])
    other = TextDataset(["x"], None, "", [("a", "b")])
    assert one.label_lines != other.label_lines


@given(st.lists(st.sets(st.sampled_from("abcd")), min_size=20, max_size=60))
def test_the_rarest_label_stands_for_a_text(sets: list[set[str]]) -> None:
    label_sets = [tuple(sorted(names)) for names in sets]
    counts = {name: sum(name in names for names in label_sets) for name in "abcd"}
    for names, chosen in zip(label_sets, rarest_labels(label_sets), strict=True):
        assert chosen == "" if not names else counts[chosen] == min(counts[name] for name in names)


def test_a_split_leaves_every_label_in_training_and_measures_the_rare_ones() -> None:
    random = np.random.default_rng(0)
    sets = [("often", *(["rare"] if number % 20 == 0 else [])) for number in range(200)]
    sets[3] = ("once", "often")
    texts = [f"text {number}" for number in random.permutation(200)]
    train, valid = train_validation_split(texts, rarest_labels(sets), fraction=0.1)
    assert sum("rare" in sets[i] for i in valid) == 1
    assert sum("rare" in sets[i] for i in train) == 9
    assert 3 in train
