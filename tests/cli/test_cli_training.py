"""Training runs in this process: interrupted, gone on with, refused, and started from a language model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import SMALL, Outcome, Pretrained, Trained, finished, reviews, script, tree, write_csv

from ulmfit_jax import TextClassifier
from ulmfit_jax.data import read_dataset

Run = Callable[..., Outcome]


def test_an_interrupted_run_goes_on_with_the_same_command(pretrained: Pretrained) -> None:
    assert (pretrained.interrupted.code, pretrained.interrupted.out) == (130, "")
    assert pretrained.interrupted.err.splitlines()[-1] == (
        f"ulmfit: interrupted: the same command goes on from the last state saved in {pretrained.out}"
    )
    assert pretrained.resumed.code == 0
    assert "going on after step" in pretrained.resumed.err
    assert pretrained.resumed.json["language_model"].keys() == {"perplexity", "accuracy", "loss"}
    assert pretrained.resumed.json["seconds"]["pretrain"] > 0
    assert (pretrained.again.code, pretrained.again.err) == (0, finished(pretrained.out))
    assert pretrained.again.json == pretrained.resumed.json


def test_training_from_a_language_model(trained: Trained, language_model: Path, tmp_path: Path, ulmfit: Run) -> None:
    unlabeled = tmp_path / "more.txt"
    tested = reviews(20, 2)
    unlabeled.write_text("\n".join(text for text, _ in [*reviews(10, 7), *tested[:3]]), "utf-8")
    labelled = write_csv(tmp_path / "train.csv", [*reviews(40, 6), tested[0]])
    command = ["train", labelled, "--out", tmp_path / "run", "--pretrained", language_model, "--lm-epochs", "0"]
    command += ["--epochs", "1,0,0,0", "--validation-fraction", "0", "--devices", "1"]

    outcome = ulmfit(*command, "--unlabeled", unlabeled, "--test", trained.test, "--json")
    assert outcome.code == 0
    assert outcome.err.startswith("3 of the unlabelled texts are test texts and are left out\n")
    assert "with --lm-epochs 0, only --self-training and --co-training read texts without labels" in outcome.err
    result = outcome.json
    assert "validation" not in result
    assert result["documents"] == {"labelled": 41, "validation": 0, "unlabelled": 0}
    assert result["test"]["also_in_training"] == 1
    assert list(result["seconds"]) == ["head", "test", "baseline"]

    before = tree(tmp_path / "run")
    text = ulmfit(*command, "--unlabeled", unlabeled, "--test", trained.test).out
    assert f"accuracy {result['test']['accuracy']:7.2%}" in text
    assert "1 of the test texts is also among the training texts" in text
    assert tree(tmp_path / "run") == before


@pytest.mark.usefixtures("quick_plans")
def test_texts_of_ones_own_measure_each_epoch(language_model: Path, tmp_path: Path, ulmfit: Run) -> None:
    labelled, measured = reviews(40, 6), reviews(10, 5)
    train, valid = write_csv(tmp_path / "train.csv", labelled), write_csv(tmp_path / "valid.csv", measured)
    (tmp_path / "more.txt").write_text("\n".join(text for text, _ in [*reviews(10, 7), *measured[:3]]), "utf-8")
    command = ["train", train, "--out", tmp_path / "run", "--pretrained", language_model, "--lm-epochs", "0"]
    command += ["--epochs", "2,0,0,0", "--devices", "1", "--keep-best"]
    outcome = ulmfit(*command, "--valid", valid, "--unlabeled", tmp_path / "more.txt", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.err.startswith("3 of the unlabelled texts are validation texts and are left out\n")
    assert outcome.json["documents"] == {"labelled": 50, "validation": 10, "unlabelled": 0}
    model = TextClassifier.load(tmp_path / "run", devices=1)
    best = model.artifact.provenance.get("best_epoch", {"epoch": 1})["epoch"]
    assert f"classifier: epoch {best} of head is kept, which has the lowest valid loss, " in outcome.err
    texts, labels = zip(*measured, strict=True)
    assert outcome.json["validation"]["loss"] == pytest.approx(model.evaluate(texts, labels)["loss"], abs=1e-4)
    assert model.artifact.provenance["data_sha256"] == read_dataset(train).fingerprint()
    assert "Measured on 10 texts held out of training" in (tmp_path / "run" / "report.html").read_text("utf-8")
    others = write_csv(tmp_path / "other.csv", [("fine", "mixed")])
    assert "has the label 'mixed', which no text of" in ulmfit(*command, "--valid", others).err
    elsewhere = [*command[:3], tmp_path / "planned", *command[4:], "--dry-run"]
    noted = ulmfit(*elsewhere, "--valid", write_csv(tmp_path / "other.csv", labelled[:4]))
    assert (noted.code, "4 of the texts of --valid are in DATA too" in noted.err) == (0, True), noted.err
    noted = ulmfit(*command, "--valid", valid, "--test", valid, "--dry-run").err
    assert "10 of the test texts are texts of --valid too" in noted
    refused = ulmfit(*command, "--validation-fraction", "0")
    assert (refused.code, "keep-best listens to texts" in refused.err) == (2, True), refused.err
    refused = ulmfit(*command, "--valid", valid, "--validation-fraction", "0.2")
    assert (refused.code, "leave --validation-fraction out" in refused.err) == (2, True)
    refused = ulmfit("train", train, "--out", tmp_path / "probe", "--recipe", "linear_probe", "--patience", "1")
    assert (refused.code, "patience is 1: linear_probe" in refused.err) == (2, True)


def test_no_test_figures_without_a_test_set(trained: Trained, ulmfit: Run) -> None:
    command = [argument for argument in trained.arguments if argument not in ("--test", str(trained.test))]
    outcome = ulmfit(*command)
    assert outcome.code == 0
    assert outcome.json.keys() == trained.json.keys() - {"test", "baseline"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--epochs", "2,0,0,0"], "whose stages have the epochs head 1, but head 2 are asked for now"),
        (["--seed", "1"], "with seed = 0, but 1 is asked for now"),
        (["--drop-mult", "1"], "with --drop-mult = 0.5, but 1.0 is asked for now"),
        (["--label-smoothing", "0.1"], "with --label-smoothing = 0.0, but 0.1 is asked for now"),
        (["--batch-size", "8"], "with --batch-size = 16, but 8 is asked for now"),
        (["--lm-epochs", "2"], "whose stages have the epochs pretrain 1, but pretrain 2 are asked for now"),
        (["--learning-rate", "0.5"], "with the learning rate of stage head 0.02, but 0.5 is asked for now"),
        (
            ["--validation-fraction", "0.2"],
            "with 54 and 6 texts to train and to measure on, but 48 and 12 are asked for now (--validation-fraction)",
        ),
    ],
)
def test_another_configuration_in_the_same_folder_is_refused_before_anything_goes_on(
    change: list[str], said: str, trained: Trained, ulmfit: Run
) -> None:
    before = tree(trained.out)
    outcome = ulmfit(*trained.arguments, *change)
    assert (outcome.code, outcome.out) == (2, "")
    assert f"holds a run {said}: choose another folder" in outcome.err
    assert "language model:" not in outcome.err
    assert tree(trained.out) == before


@pytest.mark.slow
def test_a_run_goes_on_with_the_same_adversarial_examples_or_none(tmp_path: Path, ulmfit: Run) -> None:
    train = write_csv(tmp_path / "train.csv", reviews(40, 1))
    options = ["--pretrained", "none", "--preset", "tiny", "--lm-epochs", "0", "--epochs", "0,0,0,1", "--devices", "1"]
    out = tmp_path / "run"
    command = ["train", str(train), "--out", str(out), *options]
    assert ulmfit(*command).code == 0
    shutil.rmtree(out / "model")
    outcome = ulmfit(*command, "--adversarial", "0.1")
    assert (outcome.code, outcome.out) == (2, "")
    assert "holds a run without adversarial, but 0.1 is asked for now: choose another folder" in outcome.err


def test_texts_that_were_added_are_counted(trained: Trained, tmp_path: Path, ulmfit: Run) -> None:
    more = write_csv(tmp_path / "train.csv", [*reviews(60, 1), *reviews(4, 9)])
    arguments = [str(more) if argument == str(trained.train) else argument for argument in trained.arguments]
    outcome = ulmfit(*arguments)
    assert outcome.code == 2
    assert "holds a run on other texts or labels (60 labelled texts then, 64 now): " in outcome.err
    assert "language model:" not in outcome.err


def test_corrected_labels_are_another_run(trained: Trained, tmp_path: Path, ulmfit: Run) -> None:
    rows = reviews(60, 1)
    corrected = write_csv(tmp_path / "train.csv", [(rows[0][0], "bad"), (rows[1][0], "good"), *rows[2:]])
    arguments = [str(corrected) if argument == str(trained.train) else argument for argument in trained.arguments]
    outcome = ulmfit(*arguments)
    assert outcome.code == 2
    assert "holds a run on other texts or labels: " in outcome.err.splitlines()[-1]
    assert "language model:" not in outcome.err


@pytest.mark.slow
def test_a_run_goes_on_from_the_state_before_a_damaged_one(trained: Trained, tmp_path: Path) -> None:
    shutil.copytree(trained.out, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "model")
    states = (tmp_path / "run" / "classifier" / "state").iterdir()
    before, newest = sorted(states, key=lambda path: int(path.name))
    for path in (newest / "arrays").rglob("d/*"):
        path.write_bytes(path.read_bytes()[:50])
    arguments = [str(tmp_path / "run") if argument == str(trained.out) else argument for argument in trained.arguments]
    result = script(*arguments)
    assert result.returncode == 0
    assert result.stderr.decode().splitlines()[:2] == [
        "language model: already finished, at step 4",  # the language model, whose states are whole
        f"the saved state {newest} is damaged; the run goes on from the one before, {before}",
    ]
    assert json.loads(result.stdout.splitlines()[-1])["test"] == trained.json["test"]


def test_samples_differ_and_can_be_repeated(language_model: Path, ulmfit: Run) -> None:
    command = ["generate", language_model, "--prompt", "The film was", "--words", "6", "--samples", "2", "--seed", "3"]
    outcome = ulmfit(*command)
    first, second = outcome.out.splitlines()
    assert first.startswith("The film was")
    assert first != second
    assert ulmfit(*command).out == outcome.out


@pytest.mark.slow
@pytest.mark.usefixtures("quick_plans")
def test_labels_with_few_texts_are_remarked_upon(tmp_path: Path, ulmfit: Run) -> None:
    rows = [("fine", "good"), ("lovely", "good"), ("bad", "poor"), *((f"meeting {n}", "plain") for n in range(12))]
    command = ["train", write_csv(tmp_path / "few.csv", rows), "--out", tmp_path / "run", *SMALL, "--dry-run"]
    assert "2 of 3 labels have fewer than 10 texts ('poor' has 1)" in ulmfit(*command).err
    own = [(f"meeting {n}", str(n)) for n in range(12)]
    command[1] = write_csv(tmp_path / "own.csv", own)
    for words in ([], ["--validation-fraction", "0"]):
        assert "is that the column of the labels?" in ulmfit(*command, *words).err
    spelt = [(f"{label} {n}", label) for label in ("good", "Good", "poor") for n in range(10)]
    command[1] = write_csv(tmp_path / "spelt.csv", spelt)
    assert "'Good', 'good' differ only in capital letters and count as 2 classes\n" in ulmfit(*command).err
    random = ["--pretrained", "none", "--preset", "tiny", "--lm-epochs", "0", "--epochs", "1,0,0,0", "--dry-run"]
    assert "starts from random layers" in ulmfit(*command[:4], *random).err
    enough = [(f"{label} {n}", label) for label in ("good", "poor") for n in range(10)]
    command[1] = write_csv(tmp_path / "enough.csv", enough)
    outcome = ulmfit(*command)
    assert outcome.code == 0, outcome.err
    assert not any(words in outcome.err for words in ("fewer than 10", "capital letters", "random"))
