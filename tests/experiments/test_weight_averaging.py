from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pytest
from scripts import imported

from reviews import reviews, write_reviews
from ulmfit_jax import ConfigError
from ulmfit_jax.data import TextDataset


def test_members_share_a_head_and_differ_and_their_mean_is_that_of_each_array(language_model: Path) -> None:
    experiment = imported("weight_averaging")
    given = ["-", "--documents", "40", "--model", str(language_model), "--members", "2", "--epochs", "2"]
    texts, labels = reviews(40)
    members = experiment.trained_members(experiment.arguments(given), TextDataset(texts, labels, "made up"), seed=0)
    first, second = (jax.tree.leaves((m.artifact.parameters, m.artifact.statistics)) for m in members)
    assert any(np.abs(one - other).max() > 1e-4 for one, other in zip(first, second, strict=True))
    mean = experiment.averaged(members).artifact
    found = jax.tree.leaves((mean.parameters, mean.statistics))
    for one, other, between in zip(first, second, found, strict=True):
        np.testing.assert_allclose(between, (one + other) / 2, rtol=1e-6, atol=1e-7)


def test_the_table_has_members_ensemble_and_mean(
    tmp_path: Path, language_model: Path, printed: Callable[..., list[str]]
) -> None:
    given = [write_reviews(tmp_path / "data.csv", 80), "--model", language_model, "--documents", "60"]
    lines = printed("weight_averaging", *given, "--valid-documents", "20", "--members", "2", "--repeats", "2")
    assert lines[0] == "| | error, % | loss |"
    found = [re.fullmatch(r"\| (.+) \| (\S+) ± \S+ \| (\S+) ± \S+ \|", line) for line in lines[2:]]
    rows = [row.groups() for row in found if row]
    assert [name for name, *_ in rows] == [
        "each of 2",
        "the mean of their probabilities",
        "one with the mean of their weights",
    ]
    assert all(float(error) < 25 for _, error, _ in rows)  # the words tell


def test_one_member_has_no_mean(printed: Callable[..., list[str]]) -> None:
    with pytest.raises(ConfigError, match="--members has to be 2 or more"):
        printed("weight_averaging", "data.csv", "--documents", "4", "--members", "1")
