from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from scripts import imported

from reviews import write_reviews
from ulmfit_jax import ConfigError


@pytest.fixture(scope="module")
def experiment() -> ModuleType:
    return imported("compare_recipes")


def options(tmp_path: Path, **chosen: object) -> argparse.Namespace:
    rows = [f"{'very ' * number}good,{'ab'[number % 2]}" for number in range(20)]
    (tmp_path / "data.csv").write_text("\n".join(["text,label", *rows]), "utf-8")
    given = {"documents": 6, "valid_documents": 3, "repeats": 2, "most_characters": None, "data_dir": None}
    return argparse.Namespace(data=str(tmp_path / "data.csv"), task="classifier", **{**given, **chosen})


def test_each_repeat_draws_other_documents_to_train_and_to_measure_on(experiment: ModuleType, tmp_path: Path) -> None:
    drawn = experiment.draws(options(tmp_path))
    for train, valid in drawn:
        assert (len(train), len(valid)) == (6, 3)
        assert not set(train.texts) & set(valid.texts)
    assert drawn[0][0].texts != drawn[1][0].texts


def test_long_documents_are_left_out_where_that_is_asked_for(experiment: ModuleType, tmp_path: Path) -> None:
    ((train, valid),) = experiment.draws(options(tmp_path, repeats=1, most_characters=4 + 8 * 5))
    assert sorted([*train.texts, *valid.texts], key=len) == ["very " * number + "good" for number in range(9)]
    with pytest.raises(ConfigError, match="has 8 such documents, 9 are asked for"):
        experiment.draws(options(tmp_path, most_characters=4 + 7 * 5))


def test_what_no_training_document_is_labelled_with_is_not_measured_on(experiment: ModuleType, tmp_path: Path) -> None:
    chosen = options(tmp_path, documents=1, valid_documents=19, repeats=1)
    ((train, valid),) = experiment.draws(chosen)
    assert set(valid.labels or ()) == set(train.labels or ())
    assert len(valid) == 9


def test_a_variant_names_arguments(experiment: ModuleType) -> None:
    assert experiment.settings("defaults") == {}
    assert experiment.settings("epochs=(1, 2), recipe='fine_tune'") == {"epochs": (1, 2), "recipe": "fine_tune"}
    with pytest.raises(ConfigError, match="is not of the form"):
        experiment.settings("epochs 3")


def test_ngrams_are_compared_by_their_arguments(tmp_path: Path, printed: Callable[..., list[str]]) -> None:
    given = ["ngrams", write_reviews(tmp_path / "data.csv", 60), "--documents", "40", "--valid-documents", "20"]
    variants = ["--variant", "longest=1", "--variant", "longest=3"]
    lines = printed("compare_recipes", *given, "--repeats", "2", *variants)
    assert lines[1] == "| variant | error, % | features | seconds |"
    found = [re.fullmatch(r"\| longest=. \| (\S+) ± \S+ \| (\S+) ± \S+ \| \d+ \|", line) for line in lines[3:]]
    errors, features = zip(*[(float(row[1]), float(row[2])) for row in found if row], strict=True)
    assert max(errors) < 20  # the words tell
    assert 20 < features[0] < features[1]
