"""`--dry-run`: its plan is that of the run, its times are those of steps, and it leaves nothing behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Outcome, Trained, reviews, tree, write_csv

Run = Callable[..., Outcome]


@pytest.mark.slow
def test_the_plan_is_that_of_the_run(trained: Trained, tmp_path: Path, ulmfit: Run) -> None:
    before = tree(trained.out)
    outcome = ulmfit(*trained.arguments, "--out", tmp_path / "other", "--dry-run")
    assert outcome.code == 0
    assert tree(trained.out) == before
    assert not (tmp_path / "other").exists()
    plan = outcome.json
    assert plan["documents"] == {"labelled": 60, "validation": 6, "unlabelled": 0, "test": 20}
    ran = {}
    for part in ("language_model", "classifier"):
        config = json.loads((trained.out / part / "config.json").read_text("utf-8"))
        rows = [json.loads(line) for line in (trained.out / part / "metrics.jsonl").read_text("utf-8").splitlines()]
        ran[part] = [(stage["name"], stage["epochs"], rows[-1]["step"]) for stage in config["stages"]]
    found = [(row["part"], row["name"], row["epochs"], row["steps"]) for row in plan["stages"]]
    assert found == [(part, *stage) for part, stages in ran.items() for stage in stages] + [
        ("test", "test", None, None)
    ]
    model = json.loads((trained.out / "model" / "config.json").read_text("utf-8"))
    assert plan["vocabulary"] == model["architecture"]["vocabulary_size"]
    assert plan["parameters"] == ulmfit("info", trained.out, "--json").json["parameters"]
    assert all(row["seconds"] >= row["compiling"] >= 0 for row in plan["stages"])
    assert plan["stages"][0]["seconds"] > plan["stages"][0]["compiling"]
    assert 1 <= plan["measured"] <= plan["programs"]
    assert plan["seconds"] == pytest.approx(sum(row["seconds"] for row in plan["stages"]), abs=0.01)


def test_what_a_run_has_finished_is_not_planned_again(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ulmfit: Run
) -> None:
    before = tree(trained.out)
    outcome = ulmfit(*trained.arguments, "--dry-run")
    assert outcome.code == 0, outcome.err
    finished = outcome.json
    assert tree(trained.out) == before
    for row in finished["stages"]:
        assert row.get("done") == row["epochs"]
        assert (row["seconds"] == 0) == (row["name"] != "test")

    # As one that was interrupted in its last stage.
    shutil.copytree(trained.out, tmp_path / "run")
    table = tmp_path / "run" / "classifier" / "metrics.jsonl"
    rows = table.read_text("utf-8").splitlines()
    table.write_text("".join(f"{row}\n" for row in rows[:-1]), "utf-8")
    monkeypatch.setattr("ulmfit_jax.dry_run.MEASURING_SECONDS", 0.0)
    arguments = [argument for argument in trained.arguments if argument != "--json"]
    shown = ulmfit(*arguments, "--out", tmp_path / "run", "--dry-run")
    assert shown.code == 0, shown.err
    (line,) = (line for line in shown.out.splitlines() if line.startswith("run  "))
    assert line.startswith("run         goes on; epochs finished: language model: pretrain 1 of 1")
    assert "classifier:" not in line  # its one epoch is to be learnt again
    assert "Times of what is left to do are estimates" in shown.out


def test_a_plan_for_a_folder_with_another_run_is_refused(trained: Trained, ulmfit: Run) -> None:
    before = tree(trained.out)
    for changed, said in ((["--seed", "3"], "seed"), (["--epochs", "2,2,2,2"], "whose stages have the epochs")):
        refused = ulmfit(*trained.arguments, *changed, "--dry-run")
        assert (refused.code, refused.out) == (2, "")
        assert f"{trained.out}" in refused.err
        assert said in refused.err
    assert tree(trained.out) == before


@pytest.mark.slow
@pytest.mark.usefixtures("quick_plans")
def test_every_kind_of_stage_as_text(language_model: Path, tmp_path: Path, ulmfit: Run) -> None:
    rows = reviews(60, 1)
    labelled = write_csv(tmp_path / "train.csv", [(rows[0][0] * 20, rows[0][1]), *rows[1:]])
    (tmp_path / "more.txt").write_text("\n".join(text for text, _ in reviews(30, 7)), "utf-8")
    before = tree(tmp_path)
    command = ["train", labelled, "--out", tmp_path / "run", "--pretrained", language_model, "--lm-epochs", "0"]
    command += ["--epochs", "2,1,0,0", "--unlabeled", tmp_path / "more.txt", "--self-training", "20", "--devices", "1"]
    command += ["--ngrams", "--co-training", "40"]
    outcome = ulmfit(*command, "--cache-frozen", "--seeds", "2", "--dry-run")
    assert outcome.code == 0
    assert tree(tmp_path) == before
    lines = outcome.out.splitlines()
    assert lines[0].startswith("texts       60 labelled (6 of them to measure on) of 2 classes, 30 without a label")
    names = [line[:28].strip() for line in lines if line.startswith(("language", "classifier", "self", "co"))]
    assert (
        names == ["classifier: head", "classifier: last layer", "self training", "co training"] * 2
    )  # the plan, and the times
    assert any(line.startswith("all stages for each of 2 seeds") for line in lines)
    assert lines[-1] == "Nothing was trained or written."


def test_the_plan_is_shown_before_anything_is_measured(
    language_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ulmfit: Run
) -> None:
    def no_time(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ulmfit_jax.training_estimate.timings_within", no_time)
    labelled = write_csv(tmp_path / "train.csv", reviews(60, 1))
    command = ["train", labelled, "--out", tmp_path / "run", "--pretrained", language_model, "--lm-epochs", "1"]
    outcome = ulmfit(*command, "--epochs", "1,0,0,0", "--devices", "1", "--dry-run")
    assert outcome.code == 130
    lines = outcome.out.splitlines()
    assert lines[0].startswith("texts       60 labelled (6 of them to measure on)")
    assert [line[:28].strip() for line in lines[5:7]] == ["language model: lm", "classifier: head"]


def test_what_is_not_measured_follows_from_what_is(
    language_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ulmfit: Run
) -> None:
    monkeypatch.setattr("ulmfit_jax.dry_run.MEASURING_SECONDS", 0.0)
    labelled = write_csv(tmp_path / "train.csv", reviews(60, 1))
    command = ["train", labelled, "--out", tmp_path / "run", "--pretrained", language_model, "--lm-epochs", "1"]
    command += ["--epochs", "1,1,0,0", "--devices", "1", "--dry-run"]
    plan = ulmfit(*command, "--json").json
    assert plan["measured"] == 1 < plan["programs"]
    assert all(row["seconds"] > 0 for row in plan["stages"])
    assert "the others are estimated from these by the number of multiplications" in ulmfit(*command).out


@pytest.mark.slow
@pytest.mark.usefixtures("quick_plans")
def test_rounds_of_self_training_are_rows(language_model: Path, tmp_path: Path, ulmfit: Run) -> None:
    labelled = write_csv(tmp_path / "train.csv", reviews(60, 1))
    (tmp_path / "more.txt").write_text("\n".join(text for text, _ in reviews(30, 7)), "utf-8")
    command = ["train", labelled, "--out", tmp_path / "run", "--pretrained", language_model, "--lm-epochs", "0"]
    command += ["--epochs", "1,0,0,0", "--unlabeled", tmp_path / "more.txt", "--devices", "1", "--dry-run", "--json"]
    rows = ulmfit(*command, "--self-training", "10,20").json["stages"]
    first, second = (row for row in rows if row["name"] == "self-training")
    assert (first["part"], second["part"]) == ("self_training", "self_training_2")
    assert first["steps"] // first["epochs"] <= second["steps"] // second["epochs"]
    refused = ulmfit(*command, "--self-training", "20,20")
    assert (refused.code, refused.out) == (2, "")
    assert "asks for 20 + 20 texts, but there are 30 without labels" in refused.err


@pytest.mark.slow
def test_the_plan_of_a_language_model(language_model: Path, tmp_path: Path, ulmfit: Run) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(text for text, _ in reviews(60, 3)), "utf-8")
    out = tmp_path / "run"
    scratch = ["pretrain", texts, "--documents", "lines", "--preset", "tiny"]  # as the fixture was trained
    for command in (scratch, ["finetune-lm", texts, "--pretrained", language_model]):
        outcome = ulmfit(*command, "--out", out, "--epochs", "2", "--devices", "1", "--dry-run", "--json")
        assert outcome.code == 0
        assert "measuring some steps for about 20 s" in outcome.err
        plan = outcome.json
        assert plan["documents"] == {"read": 60, "validation": 3}
        (stage,) = plan["stages"]
        rows = (language_model / "language_model" / "metrics.jsonl").read_text("utf-8").splitlines()
        assert (stage["epochs"], stage["steps"]) == (2, json.loads(rows[-1])["step"])
        assert stage["seconds"] > stage["compiling"] > 0
        assert plan["parameters"] == ulmfit("info", language_model, "--json").json["parameters"]
    refused = ulmfit(*scratch, "--out", language_model, "--dry-run")
    assert (refused.code, "the epochs pretrain 2, but pretrain 10" in refused.err) == (2, True), refused.err
    text = ulmfit(*scratch, "--out", out, "--epochs", "2", "--devices", "1", "--dry-run").out.splitlines()
    assert text[0] == "texts       60 (3 of them to measure on)"
    assert text[1] == f"tokens      {plan['tokens']['language_model']:,} for the language model"
    assert not out.exists()


def test_a_language_model_that_cannot_be_trained(language_model: Path, tmp_path: Path, ulmfit: Run) -> None:
    (tmp_path / "few.txt").write_text("a\n", "utf-8")
    command = ["finetune-lm", tmp_path / "few.txt", "--out", tmp_path / "run", "--pretrained", language_model]
    outcome = ulmfit(*command, "--dry-run")
    assert (outcome.code, outcome.out, "too few" in outcome.err) == (2, "", True)
    refused = ulmfit("pretrain", tmp_path / "few.txt", "--out", tmp_path / "few.txt", "--dry-run")
    assert (refused.code, "is a file: give a folder" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--batch-size", "7", "--devices", "2"], "--batch-size 7 does not divide over 2 devices"),
        (["--test", "no.csv"], "no.csv does not exist"),
        (["--self-training", "3"], "--self-training needs texts without labels"),
        (["--out", "occupied"], "occupied holds something that is no training run"),
        (["--pretrained", "nothing"], "there is no model 'nothing'"),
    ],
)
def test_what_training_would_refuse_is_refused(
    arguments: list[str], part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ulmfit: Run
) -> None:
    monkeypatch.chdir(tmp_path)
    data = write_csv(tmp_path / "train.csv", reviews(40, 1))
    Path("occupied").mkdir()
    Path("occupied/config.json").write_text('{"mine": 1}')
    before = tree(tmp_path)
    outcome = ulmfit("train", data, "--out", "run", "--dry-run", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert part in outcome.err.splitlines()[-1]
    assert tree(tmp_path) == before
