from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from scripts import imported

from reviews import reviews
from ulmfit_jax import LanguageModel


def test_the_table_has_every_part_that_a_head_may_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts, labels = reviews(60)
    rows = [f'"{text}",{label}' for text, label in zip(texts, labels, strict=True)]
    (tmp_path / "data.csv").write_text("\n".join(["text,label", *rows]), "utf-8")
    LanguageModel(None, "tiny", epochs=1, batch_size=8).fit(texts).save(tmp_path / "model")
    given = ["layer_probe.py", str(tmp_path / "data.csv"), "--model", str(tmp_path / "model")]
    given += ["--documents", "40", "--valid-documents", "20", "--repeats", "2"]
    monkeypatch.setattr(sys, "argv", given)
    imported("layer_probe").main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["| vectors | error, % |", "|---|---|"]
    found = [re.fullmatch(r"\| (.+) \| (\d+\.\d) ± \d+\.\d \|", line) for line in lines[2:]]
    errors = {row[1]: float(row[2]) for row in found if row is not None}
    assert len(errors) == len(found) == 2 + 3 + 1 + LanguageModel(tmp_path / "model").artifact.architecture.n_layers
    assert errors["TF-IDF and logistic regression"] < 20  # the words tell
    assert errors["embedded tokens: mean"] < 20
