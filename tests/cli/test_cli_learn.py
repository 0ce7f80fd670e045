"""`ulmfit learn`: a trained classifier goes on with other texts, or with what a teacher says of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Outcome, Trained, finished, reviews, tree, write_csv

from ulmfit_jax import Ensemble, TextClassifier
from ulmfit_jax.artifact import load_artifact, save_artifact
from ulmfit_jax.progress import ConsoleProgress

Run = Callable[..., Outcome]


@pytest.fixture(scope="module")
def teacher(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ensemble of the trained classifier and n-grams."""
    texts, labels = zip(*reviews(60, 1), strict=True)
    folder = tmp_path_factory.mktemp("teacher") / "joint"
    Ensemble([TextClassifier.load(trained.out, devices=1)]).learn_ngrams(texts, labels).save(folder)
    return folder


@pytest.mark.slow
@pytest.mark.usefixtures("quick_plans")
def test_interrupted_and_gone_on_with(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ulmfit: Run
) -> None:
    more, out, before = write_csv(tmp_path / "more.csv", reviews(60, 8)), tmp_path / "run", tree(trained.out)
    command = ["learn", trained.out, more, "--out", out, "--epochs", "2", "--learning-rate", "0.01", "--devices", "1"]

    def interrupt(progress: ConsoleProgress, row: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    planned = ulmfit(*command, "--dry-run", "--json")
    assert [(row["part"], row["epochs"]) for row in planned.json["stages"]] == [("further_training", 2)]
    assert not out.exists()
    with monkeypatch.context() as patch:
        patch.setattr(ConsoleProgress, "epoch_done", interrupt)
        assert ulmfit(*command, "--json").code == 130
    left = ulmfit(*command, "--dry-run").out
    assert "run         goes on; epochs finished: further training 1 of 2" in left
    resumed = ulmfit(*command, "--json")
    assert resumed.code == 0
    assert "going on after step" in resumed.err
    assert resumed.json["documents"] == {"labelled": 60, "validation": 6, "unlabelled": 0}
    assert resumed.json["before"].keys() == resumed.json["validation"].keys() == {"accuracy", "error", "loss"}
    assert list(resumed.json["seconds"]) == ["further training"]
    again = ulmfit("learn", "--config", out / "ulmfit.toml", "--json")
    assert (again.code, again.json, again.err) == (0, resumed.json, finished(out))
    text = ulmfit(*command).out
    assert re.search(r"^before +[\d.]+% right, of 6 texts held out\nafter +[\d.]+% right, of 6", text)
    assert "learnt from     54 texts\n" in text
    assert tree(trained.out) == before

    provenance = ulmfit("info", out, "--json").json["provenance"]
    assert provenance["stages"] == ["head, 1 epoch", "further training, 2 epochs"]
    assert provenance["training"]["documents_before"] == 54
    assert (provenance["trained_from"], provenance["learnt_on_from"]) == ("scratch", str(trained.out))
    before = tree(out)
    for option, value in (("--epochs", "3"), ("--learning-rate", "0.02"), ("--seed", "1"), ("--teacher", trained.out)):
        refused = ulmfit(*command, option, value)
        assert (refused.code, f"--out {out} holds the finished run of another {option}" in refused.err) == (2, True)
    other = write_csv(tmp_path / "other.csv", reviews(20, 9))
    assert "of another DATA: choose another folder" in ulmfit(*command[:2], other, *command[3:]).err
    (out / "report.json").rename(tmp_path / "report.json")
    assert f"{out / 'further_training'} holds a run" in ulmfit(*command, "--epochs", "3").err
    (tmp_path / "report.json").rename(out / "report.json")
    assert tree(out) == before
    for known in (trained.train, more):
        refused = ulmfit("calibrate", out, known)
        assert (refused.code, "the very texts that the model was trained on" in refused.err) == (2, True)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_plans")
def test_what_a_teacher_says_is_learnt(trained: Trained, teacher: Path, tmp_path: Path, ulmfit: Run) -> None:
    texts = [text for text, _ in reviews(80, 7)]
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(texts), "utf-8")
    command = ["learn", trained.out, file, "--teacher", teacher, "--out", tmp_path / "run", "--epochs", "6"]
    command += ["--learning-rate", "0.03", "--lr-mult", "1", "--devices", "1"]
    learnt = ulmfit(*command, "--json")
    assert learnt.code == 0
    assert f"{teacher} reads 80 texts" in learnt.err
    answers = Ensemble.load(teacher, devices=1).predict_proba(texts)
    distances = [
        np.abs(TextClassifier.load(model, devices=1).predict_proba(texts) - answers).mean()
        for model in (trained.out, tmp_path / "run")
    ]
    assert distances[1] < 0.7 * distances[0]
    assert learnt.json["documents"] == {"labelled": 0, "validation": 8, "unlabelled": 80}
    text = ulmfit(*command).out
    assert re.search(rf"^before +[\d.]+% same label as {teacher}, of 8 texts held out\nafter ", text)
    assert f"learnt from     72 texts, of which {teacher} gave the probabilities\n" in text
    assert ulmfit("info", tmp_path / "run", "--json").json["provenance"]["teacher"] == str(teacher)
    with_labels = write_csv(tmp_path / "labelled.csv", reviews(80, 7))
    assert "the very texts that" in ulmfit("calibrate", tmp_path / "run", with_labels).err
    (tmp_path / "run" / "report.json").unlink()  # the training itself is found finished, and what the teacher said
    resumed = ulmfit(*command, "--json")
    assert (resumed.code, "reads 80 texts" in resumed.err) == (0, False)
    assert "stages" in ulmfit(*command[:6], tmp_path / "other", "--dry-run", "--json").json


def test_what_can_be_refused_is_before_a_teacher_reads(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ulmfit: Run
) -> None:
    monkeypatch.setattr("ulmfit_jax.ensemble.load_classifier", None)
    command = ["learn", trained.out, trained.train, "--out", tmp_path / "run", "--teacher", trained.out]
    for wrong, said in (
        (["--lr-mult", "0.5", "--devices", "1"], "--lr-mult is 0.5"),
        (["--batch-size", "7", "--devices", "2"], "--batch-size 7 does not divide over 2 devices"),
    ):
        refused = ulmfit(*command, *wrong)
        assert (refused.code, said in refused.err) == (2, True), refused.err
    assert not (tmp_path / "run").exists()


def interrupted(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_what_makes_no_sense_is_refused(
    trained: Trained, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ulmfit: Run
) -> None:
    more = write_csv(tmp_path / "more.csv", [("a text", "neutral"), *reviews(20, 8)])
    save_artifact(replace(load_artifact(trained.out / "model"), labels=("BAD", "GOOD")), tmp_path / "other")
    alone = write_csv(tmp_path / "alone.csv", [(text, "good") for text, _ in reviews(20, 8)])
    with monkeypatch.context() as patch:
        patch.setattr(TextClassifier, "learn_from", interrupted)
        told = ulmfit("learn", trained.out, alone, "--out", tmp_path / "alone", "--devices", "1")
    assert (told.code, "all texts have the label 'good': the classifier may come to" in told.err) == (130, True)
    good = write_csv(tmp_path / "good.csv", reviews(20, 8))
    cases = [
        ([trained.out, more, "--out", tmp_path / "run"], "neutral"),
        ([teacher, good, "--out", tmp_path / "run"], "ensemble"),
        ([trained.out, good, "--out", trained.out], "holds a run of ulmfit train"),
        ([trained.out, good, "--out", tmp_path / "run", "--teacher", tmp_path / "other"], "the classes BAD, GOOD"),
        ([trained.out, good, "--out", tmp_path / "run", "--teacher", tmp_path / "nothing"], "nothing"),
        ([trained.out, good, "--out", tmp_path / "run", "--lr-mult", "0.5"], "--lr-mult is 0.5"),
    ]
    for arguments, said in cases:
        refused = ulmfit("learn", *arguments, "--devices", "1")
        assert (refused.code, refused.out) == (2, "")
        assert said in refused.err, refused.err
        assert not (tmp_path / "run").exists()
