"""`ulmfit train --ngrams`: one model in which n-grams answer beside what was trained, and every command takes it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import Outcome, reviews, tree, write_csv

from ulmfit_jax import Ensemble

Run = Callable[..., Outcome]


@pytest.mark.slow
def test_network_and_ngrams_are_one_model(language_model: Path, ulmfit: Run, tmp_path: Path) -> None:
    train, test = write_csv(tmp_path / "train.csv", reviews(60, 1)), write_csv(tmp_path / "test.csv", reviews(20, 2))
    out = tmp_path / "run"
    command = ["train", train, "--test", test, "--out", out, "--pretrained", language_model, "--devices", "1"]
    command += ["--lm-epochs", "0", "--epochs", "1,0,0,0", "--ngrams"]
    outcome = ulmfit(*command)
    assert outcome.code == 0, outcome.err
    assert re.search(r"^validation +accuracy", outcome.out, re.MULTILINE)
    assert re.search(r"^network alone +accuracy .*without the n-grams$", outcome.out, re.MULTILINE)
    report = json.loads((out / "report.json").read_text("utf-8"))
    model = Ensemble.load(out, devices=1)
    assert model.ngrams is not None
    assert report["ngrams"] == model.ngrams.facts()
    assert report["validation"]["n"] == report["documents"]["validation"] == 6
    assert "accuracy" in report["network"]["validation"]
    texts, labels = zip(*reviews(20, 2), strict=True)
    assert report["test"]["accuracy"] == model.score(texts, labels) >= 0.9  # n-grams know the adjectives
    page = (out / "report.html").read_text("utf-8")
    assert "answering together with n-grams" in page

    before = tree(out)
    again = ulmfit(*command)
    assert (again.out, tree(out)) == (outcome.out, before)
    other = ulmfit(*command[:-1], "--json")  # the same folder without --ngrams is another run, whose network is there
    assert other.code == 0
    assert "ngrams" not in other.json

    assert ulmfit(*command).code == 0
    found = ulmfit("predict", out, "--text", texts[0]).json
    np.testing.assert_allclose(list(found["probabilities"].values()), model.predict_proba(texts[0])[0], atol=1e-6)
    assert re.search(r"^n-grams +\d+, with 50% of the say$", ulmfit("info", out).out, re.MULTILINE)
    assert "trained on" in ulmfit("evaluate", out, train).err
    assert ulmfit("calibrate", out, test).code == 0
    calibrated = Ensemble.load(out, devices=1)
    assert calibrated.temperature != 1
    np.testing.assert_array_equal(calibrated.predict(texts), model.predict(texts))
    refused = ulmfit("export", out, "--to", tmp_path / "model.stablehlo")
    assert refused.code == 2
    assert f"give one of its members, such as {out / 'model' / 'member-0'}" in refused.err
    explained = ulmfit("explain", out, "--text", texts[0], "--json").json
    together = model.explain(texts[0])
    assert [entry["word"] for entry in explained["words"]] == list(together.words)
    found = [entry["importance"] for entry in explained["words"]]
    np.testing.assert_allclose(found, together.importances, rtol=1e-3, atol=1e-3)
    assert ulmfit("explain", out / "model" / "member-0", "--text", texts[0]).code == 0
    refused = ulmfit("explain", out, "--text", texts[0], "--method", "gradient")
    assert (refused.code, refused.out) == (2, "")
    assert "an ensemble is explained by leaving words out: give --method leave-out" in refused.err


@pytest.mark.slow
def test_ngrams_learn_from_texts_that_both_have_labelled(language_model: Path, ulmfit: Run, tmp_path: Path) -> None:
    train, more = write_csv(tmp_path / "train.csv", reviews(30, 1)), tmp_path / "more.txt"
    more.write_text("\n".join(text for text, _ in reviews(60, 3)) + "\n", "utf-8")
    command = ["train", train, "--out", tmp_path / "run", "--pretrained", language_model, "--lm-epochs", "0"]
    command += ["--epochs", "1,0,0,0", "--devices", "1", "--json"]
    for options, sentence in (
        (["--co-training", "40"], "add --ngrams"),
        (["--ngrams", "--co-training", "40"], "give them with --unlabeled"),
        (
            ["--ngrams", "--co-training", "40", "--unlabeled", more, "--label-separator", "|"],
            "here a text may have several",
        ),
        (["--ngrams", "--co-training", "40", "--unlabeled", train], "stand among the labelled ones too"),
    ):
        refused = ulmfit(*command, *options)
        assert (refused.code, sentence in refused.err) == (2, True), refused.err
    assert not (tmp_path / "run").exists()
    found = [
        ulmfit(*command, "--unlabeled", more, "--ngrams", *options)
        for options in ([], ["--co-training", "40"], ["--co-training", "400"])
    ]
    assert [outcome.code for outcome in found] == [0, 0, 0], found[-1].err
    counts = [outcome.json["ngrams"]["features"] for outcome in found]
    assert counts[0] < counts[1] < counts[2]
    assert [outcome.json.get("co_training") for outcome in found] == [None, 40, 60]
    assert "n-grams" in found[1].json["seconds"]
    for outcome, count in zip(found[1:], (40, 400), strict=True):
        assert "is of other options or texts: it stays until the one asked for now is ready" in outcome.err, count
    assert "co-training = 400\n" in (tmp_path / "run" / "ulmfit.toml").read_text("utf-8")
    again = ulmfit("train", "--config", tmp_path / "run" / "ulmfit.toml")
    assert "nothing is trained again" in again.err
    assert "n-grams learnt from 60 of these too, which they and the network labelled" in again.out
    assert re.search(r"^n-grams +[\d,]+, with 75% of the say$", ulmfit("info", tmp_path / "run").out, re.MULTILINE)
