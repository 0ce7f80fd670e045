from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from reviews import write_reviews
from ulmfit_jax import LanguageModel


def test_the_table_has_every_part_that_a_head_may_read(
    tmp_path: Path, language_model: Path, printed: Callable[..., list[str]]
) -> None:
    given = [write_reviews(tmp_path / "data.csv", 60), "--model", language_model, "--documents", "40"]
    lines = printed("layer_probe", *given, "--valid-documents", "20", "--repeats", "2")
    assert lines[:2] == ["| vectors | error, % |", "|---|---|"]
    found = [re.fullmatch(r"\| (.+) \| (\d+\.\d) ± \d+\.\d \|", line) for line in lines[2:]]
    errors = {row[1]: float(row[2]) for row in found if row is not None}
    assert len(errors) == len(found) == 2 + 3 + 1 + LanguageModel(language_model).artifact.architecture.n_layers
    assert errors["TF-IDF and logistic regression"] < 20  # the words tell
    assert errors["embedded tokens: mean"] < 20
