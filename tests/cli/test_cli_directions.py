"""`ulmfit train --both-directions`: two classifiers and one model of both, by one command."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import Outcome, reviews, tree, write_csv

from ulmfit_jax import Ensemble, LanguageModel, TextClassifier
from ulmfit_jax.cli.plan import show_total

Run = Callable[..., Outcome]


@pytest.fixture(scope="module")
def backward(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backward") / "model"
    texts = [text for text, _ in reviews(60, 3)]
    LanguageModel(preset="tiny", backwards=True, epochs=1, devices=1).fit(texts).save(folder)
    return folder


@pytest.mark.slow
def test_one_command_ends_in_one_model(
    language_model: Path, backward: Path, ulmfit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, test = write_csv(tmp_path / "train.csv", reviews(60, 1)), write_csv(tmp_path / "test.csv", reviews(20, 2))
    out = tmp_path / "both"
    command = ["train", train, "--test", test, "--out", out, "--pretrained", language_model, "--devices", "1"]
    command += ["--pretrained-backward", backward, "--lm-epochs", "0", "--epochs", "1,0,0,0"]
    outcome = ulmfit(*command)
    assert outcome.code == 0, outcome.err
    rows = [line.split() for line in outcome.out.splitlines()]
    assert [row[0] for row in rows[:6]] == ["error", "texts", "forward", "backward", "together", "baseline"]
    assert rows[1] == ["texts", "6", "20"]
    assert "trained on 54 labelled texts of 2 classes, 6 held out to measure on, 0 without a label" in outcome.out
    assert outcome.out.splitlines()[-1] == f"report: {out / 'report.html'}"

    members = [TextClassifier.load(out / name, devices=1) for name in ("forward", "backward")]
    assert [member.artifact.backwards for member in members] == [False, True]
    texts = [text for text, _ in reviews(20, 2)]
    both = Ensemble.load(out, devices=1)  # each text's probabilities are those of the same text in both
    mean = sum(member.predict_proba(texts) for member in members) / 2
    np.testing.assert_allclose(both.predict_proba(texts), mean, atol=1e-6)

    report = json.loads((out / "report.json").read_text("utf-8"))
    assert report["test"]["accuracy"] == both.score(texts, [label for _, label in reviews(20, 2)])
    assert report["validation"]["n"] == 6
    assert rows[4][2] == f"{report['test']['error']:.2%}"
    page = (out / "report.html").read_text("utf-8")
    assert 'href="forward/report.html"' in page
    assert "Both learnt from the same 54 labelled texts, and hold out the same 6." in page
    assert "test error, 20 texts" in page
    assert re.search(r"accuracy on 20 test texts: [\d.]+%, 95 % interval [\d.]+% to [\d.]+%", page)
    assert "20 texts say little" in page
    assert (out / "backward" / "report.html").is_file()

    refused = ulmfit("generate", out)  # neither direction has fine-tuned its language model
    assert (refused.code, "but a language model is needed here: give the folder of one" in refused.err) == (2, True)
    shutil.copytree(language_model, out / "forward" / "language_model")
    assert f"is needed here: give {out / 'forward' / 'language_model'}" in ulmfit("generate", out).err
    shutil.rmtree(out / "forward" / "language_model")

    before = tree(out)
    again = ulmfit(*command)
    assert again.out == outcome.out
    assert tree(out) == before

    written = (out / "report.json").read_text("utf-8")  # as if it had been stopped while both answered
    stopped = {name: value for name, value in json.loads(written).items() if name not in ("validation", "test")}
    (out / "report.json").write_text(json.dumps(stopped), "utf-8")
    (out / "report.html").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(Ensemble, "save", None)
        resumed = ulmfit(*command)
    assert (resumed.code, resumed.out) == (0, outcome.out), resumed.err
    assert json.loads((out / "report.json").read_text("utf-8")) == json.loads(written)
    assert (out / "report.html").is_file()

    untested = ulmfit(*command[:2], *command[4:], "--json").json  # figures of the earlier start are not claimed
    assert "test" not in untested
    assert not any("test" in run for run in untested["runs"])

    (tmp_path / "more.txt").write_text("\n".join(text for text, _ in reviews(40, 3)) + "\n", "utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(TextClassifier, "fit", None)  # the networks are there
        joint = ulmfit(*command, "--ngrams")
        assert joint.code == 0, joint.err
        assert ulmfit(*command, "--ngrams").out == joint.out
    assert re.search(r"^together, n-grams +[\d.]+% +[\d.]+%$", joint.out, re.MULTILINE)
    model = Ensemble.load(out, devices=1)
    assert model.ngrams is not None
    assert [member.artifact.backwards for member in model.members] == [False, True]
    assert not (out / "forward" / "model" / "ngrams").exists()
    report = json.loads((out / "report.json").read_text("utf-8"))
    assert report["test"]["accuracy"] == model.score(texts, [label for _, label in reviews(20, 2)]) >= 0.9
    assert list(report["seconds"])[-1] == "n-grams"


def test_what_is_missing_or_reads_the_wrong_way_is_said(
    language_model: Path, backward: Path, ulmfit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ulmfit_jax.pretrained.shipped_models", dict)
    start = ["train", write_csv(tmp_path / "t.csv", reviews(20, 1)), "--out", tmp_path / "both"]
    for options, sentence in (
        (["--both-directions"], "make one with ulmfit pretrain --backwards"),
        (["--pretrained-backward", language_model, "--pretrained", language_model], "reads forwards: give"),
        (["--pretrained-backward", backward, "--pretrained", backward], "reads backwards: give"),
        (["--pretrained-backward", backward, "--pretrained", "none"], "starts from two language models"),
        (["--both-directions", "--seeds", "2"], "--seeds and --both-directions do not go together"),
        (["--pretrained-backward", tmp_path / "no"], "there is no model"),
    ):
        outcome = ulmfit(*start, *options)
        assert (outcome.code, sentence in outcome.err) == (2, True), outcome.err
    assert not (tmp_path / "both").exists()


@pytest.mark.usefixtures("quick_plans")
def test_the_plan_shows_both(language_model: Path, backward: Path, ulmfit: Run, tmp_path: Path) -> None:
    train = write_csv(tmp_path / "train.csv", reviews(40, 1))
    command = ["train", train, "--out", tmp_path / "both", "--pretrained", language_model, "--lm-epochs", "0"]
    command += ["--pretrained-backward", backward, "--epochs", "1,0,0,0", "--dry-run"]
    plan = ulmfit(*command, "--json").json
    assert list(plan["plans"]) == ["forward", "backward"]
    seconds = [each["seconds"] for each in plan["plans"].values()]
    assert plan["seconds"] == pytest.approx(sum(seconds), abs=1e-3)
    assert min(seconds) > 0
    assert not (tmp_path / "both").exists()


def test_plans_are_summed_up_for_a_person_too(capsys: pytest.CaptureFixture[str]) -> None:
    show_total({"forward": {"seconds": 50.0}, "backward": {"seconds": 40.0}}, as_json=False)
    assert capsys.readouterr().out.split() == ["forward", "and", "backward", "1", "min", "30", "s"]
