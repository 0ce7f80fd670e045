"""`ulmfit explain` on a trained classifier."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable

import pytest
from command_line import Outcome, Trained

from ulmfit_jax import TextClassifier

Run = Callable[..., Outcome]
TEXTS = ["The kettle was lovely.", "", "A <b>gloomy</b> bus."]


@pytest.fixture(autouse=True)
def _standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    data = "".join(text + "\n" for text in TEXTS).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="ascii"))


@pytest.mark.parametrize("method", ["gradient", "leave-out"])
def test_lines_of_json_are_what_the_model_says(trained: Trained, ulmfit: Run, method: str) -> None:
    outcome = ulmfit("explain", trained.out, "--method", method, "--json")
    assert outcome.code == 0, outcome.err
    model = TextClassifier.load(trained.out, devices=1)
    for text, line in zip(TEXTS, outcome.out.splitlines(), strict=True):
        answer = json.loads(line)
        expected = model.explain(text, method=method.replace("-", "_"))
        assert (answer["text"], answer["label"]) == (text, expected.label)
        assert answer["probability"] == pytest.approx(expected.probability)
        assert [entry["word"] for entry in answer["words"]] == list(expected.words)
        assert [entry["importance"] for entry in answer["words"]] == pytest.approx(expected.importances.tolist())


def test_people_get_the_words_and_the_strongest_of_them(
    trained: Trained, ulmfit: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    label = str(TextClassifier.load(trained.out, devices=1).classes_[0])
    outcome = ulmfit("explain", trained.out, "--label", label)
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert lines[0].startswith(f"{label} 0.")
    assert lines[1] == "  The kettle was lovely."
    assert any(line.startswith(("  for: ", "  against: ")) for line in lines)
    assert "\x1b" not in outcome.out


def test_an_unknown_label_is_named(trained: Trained, ulmfit: Run) -> None:
    outcome = ulmfit("explain", trained.out, "--label", "ugly")
    assert outcome.code == 2
    assert "there is no label 'ugly': the classes are" in outcome.err
