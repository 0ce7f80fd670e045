from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from scripts import imported

from reviews import write_reviews
from ulmfit_jax import LanguageModel


def test_the_table_has_every_part_that_a_head_may_read(
    tmp_path: Path, language_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_reviews(tmp_path / "data.csv", 60)
    given = ["layer_probe.py", str(table), "--model", str(language_model)]
    given += ["--documents", "40", "--valid-documents", "20", "--repeats", "2"]
    monkeypatch.setattr(sys, "argv", given)
    imported("layer_probe").main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["| vectors | error, % |", "|---|---|"]
    found = [re.fullmatch(r"\| (.+) \| (\d+\.\d) ± \d+\.\d \|", line) for line in lines[2:]]
    errors = {row[1]: float(row[2]) for row in found if row is not None}
    assert len(errors) == len(found) == 2 + 3 + 1 + LanguageModel(language_model).artifact.architecture.n_layers
    assert errors["TF-IDF and logistic regression"] < 20  # the words tell
    assert errors["embedded tokens: mean"] < 20
