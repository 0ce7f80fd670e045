from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

import pytest
from scripts import imported

from reviews import reviews
from ulmfit_jax import ConfigError, LanguageModel


def options(root: Path, **chosen: object) -> argparse.Namespace:
    given = {"task": "german", "data_dir": root, "out": root / "out", "seeds": 1, "both_directions": True}
    given |= {"recipe": "fine_tune", "adversarial": 0.0, "lm_epochs": 1, "precision": None}
    return argparse.Namespace(**{**given, **chosen})


def test_both_networks_their_mean_and_ngrams_are_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = imported("small_tasks")
    monkeypatch.setattr(experiment, "LanguageModel", partial(LanguageModel, preset="tiny"))
    (tmp_path / "out").mkdir()
    folder = tmp_path / "cls-de-books"
    folder.mkdir()
    for name, count, seed in (("train", 60, 1), ("test", 40, 2)):
        rows = zip(*reviews(count, seed=seed), strict=True)
        lines = [json.dumps({"text": text, "label": label}) for text, label in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    found = experiment.measured(options(tmp_path), 0)
    assert list(found) == ["TF-IDF", "forward", "backward", "mean of both", "with n-grams", "minutes"]
    for name in experiment.COLUMNS:
        assert 0 <= found[name] <= 100
        assert round(found[name] * 40 / 100, 6).is_integer()  # so many of 40 documents
    assert found["with n-grams"] < 30  # the words tell
    monkeypatch.setattr(experiment, "errors", None)
    assert experiment.measured(options(tmp_path), 0) == found
    with pytest.raises(ConfigError, match=r"german-0\.json was measured with .*'lm_epochs': 1.*: choose another --out"):
        experiment.measured(options(tmp_path, lm_epochs=2), 0)


def test_the_table_has_means_and_standard_deviations() -> None:
    table = imported("small_tasks").table([{"forward": 4.0, "minutes": 1.0}, {"forward": 6.0, "minutes": 1.0}])
    assert table.splitlines() == [
        "| seed | forward | minutes |",
        "|---|---|---|",
        "| 0 | 4.00 | 1.00 |",
        "| 1 | 6.00 | 1.00 |",
        "| mean | 5.00 ± 1.41 | 1.00 ± 0.00 |",
    ]
