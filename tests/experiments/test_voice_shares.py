from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from scripts import imported

from ulmfit_jax import ConfigError


def given(data_dir: Path, language_model: Path) -> list[str]:
    return [
        "voice_shares.py",
        "--data-dir",
        str(data_dir),
        "--language-model",
        str(language_model),
        "--documents",
        "80",
    ]


def test_each_size_has_error_and_loss_of_each_share(
    data_dir: Path, language_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--unlabeled", "40", "--sizes", "10", "30", "--draws", "2"]
    monkeypatch.setattr(sys, "argv", given(data_dir, language_model) + more)
    experiment = imported("voice_shares")
    experiment.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| labels | 0% | 15% | 25% | 33% | 50% |"
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| 10", "| 30"]
    found = [re.findall(r"(\d+\.\d), (\d\.\d{3})", line) for line in lines[2:]]
    assert all(len(row) == len(experiment.SHARES) for row in found)
    assert all(float(error) < 30 and float(loss) < 0.7 for error, loss in found[1])  # the words tell
    assert len({loss for _, loss in found[1]}) > 1


def test_too_few_documents(data_dir: Path, language_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [*given(data_dir, language_model), "--sizes", "50"])
    with pytest.raises(ConfigError, match="--documents is 80: twice the largest of --sizes"):
        imported("voice_shares").main()
