"""Every mistake of a user: exit code 2, one sentence that names the place, and nothing lost or left on the disk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import SMALL, Outcome, Trained, reviews, script, tree, write_csv

from ulmfit_jax.artifact.manifest import write_manifest
from ulmfit_jax.pretrained import SHIPPED

Run = Callable[..., Outcome]


def refused(outcome: Outcome, *parts: str) -> None:
    """The outcome is a single sentence that says all of these."""
    assert (outcome.code, outcome.out) == (2, ""), outcome.err
    assert outcome.err.startswith("ulmfit: ")
    assert outcome.err.count("\n") == 1
    for part in parts:
        assert part in outcome.err


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("missing.csv", None, ["missing.csv does not exist"]),
        ("empty.csv", b"", ["empty.csv is empty"]),
        ("header.csv", b"text,label\n", ["header.csv holds no documents"]),
        (
            "latin.csv",
            b"text,label\nok,a\ncaf\xe9,b\n",
            ["latin.csv is not UTF-8: line 3", "0xe9 at column 4", "or give --encoding cp1252 if it"],
        ),
        ("columns.csv", b"body,topic\nok,a\n", ["--label-column", "there are body, topic"]),
        ("one.csv", b"text,label\na,x\nb,x\n", ["only the class 'x'"]),
        ("few.csv", b"text,label\na,x\nb,y\n", ["No class has two different texts", "--validation-fraction to 0"]),
        ("gap.csv", b"text,label\na,x\nb,\n", ["row 3", "has no label"]),
        ("fields.csv", b"text,label\na,x\nb,y,z\n", ["row 3", "has 3 fields"]),
        ("lines.txt", b"a\nb\n", ["lines.txt is plain text and has no labels"]),
        ("broken.jsonl", b'{"text": "a", "label": "x"}\n{"text"\n', ["broken.jsonl, line 2"]),
        ("broken.parquet", b"PAR1", ["broken.parquet"]),
        ("picture.png", b"\x89PNG", ["picture.png is of no known kind"]),
    ],
)
def test_bad_training_data(name: str, content: bytes | None, parts: list[str], tmp_path: Path, ulmfit: Run) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    before = tree(tmp_path)
    refused(ulmfit("train", tmp_path / name, "--out", tmp_path / "run", *SMALL), *parts)
    assert tree(tmp_path) == before
    assert not (tmp_path / "run").exists()


def test_show_names_the_row_whose_label_is_missing_where_labels_are_asked_for(tmp_path: Path, ulmfit: Run) -> None:
    (tmp_path / "gap.csv").write_text("text,kind\na,x\nb,\n", "utf-8")
    refused(ulmfit("show", tmp_path / "gap.csv", "--label-column", "kind"), "row 3", "has no label")
    assert ulmfit("show", tmp_path / "gap.csv").code == 0


@pytest.mark.parametrize(
    ("extra", "parts"),
    [
        (["--text-column", "body"], ["has no column 'body'", "--text-column: there are text, label"]),
        (["--label-column", "topic"], ["has no column 'topic'", "--label-column: there are text, label"]),
        (["--label-column", "Lable"], ["has no column 'Lable' (did you mean 'label'?); name the label's column"]),
        (
            ["--text-column", "body", "--label-column", "topic"],
            ["has no column 'body' and no column 'topic'; name the text's column with --text-column and the label's"],
        ),
        (["--test", "unknown.csv"], ["unknown.csv, example 2 has the label 'maybe'", "'bad', 'good'"]),
        (["--unlabeled", "nowhere.txt"], ["nowhere.txt does not exist"]),
        (["--devices", "99"], ["99 devices are asked for"]),
        (["--batch-size", "7", "--devices", "2"], ["--batch-size 7 does not divide over 2 devices"]),
        (["--lm-batch-size", "7", "--devices", "2"], ["--lm-batch-size 7 does not divide over 2 devices"]),
        (["--transductive"], ["--transductive is about the test texts"]),
        (["--recipe", "fine_tune"], ["--epochs does not fit --recipe fine_tune, which takes two numbers, such as 1,2"]),
        (["--epochs", "1,2"], ["--epochs does not fit --recipe gradual_unfreezing, which takes four numbers"]),
        (["--lr-mult", "0.5"], ["--lr-mult is 0.5: the head's rate is at least once that of the embedding"]),
        (["--drop-mult", "2.5"], ["dropouts: output is 1.0", "a smaller --drop-mult"]),
        (["--pretrained", "wikipedia"], ["--preset is only for --pretrained none"]),
        (["--out", "train.csv"], ["train.csv is a file"]),
        (["--out", "occupied"], ["occupied holds something that is no training run"]),
    ],
)
def test_bad_options_for_training(
    extra: list[str], parts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ulmfit: Run
) -> None:
    monkeypatch.chdir(tmp_path)
    write_csv(Path("train.csv"), reviews(40, 1))
    write_csv(Path("unknown.csv"), [("a", "good"), ("b", "maybe")])
    Path("occupied").mkdir()
    Path("occupied/config.json").write_text('{"mine": 1}')
    before = tree(tmp_path)
    refused(ulmfit("train", "train.csv", "--out", "run", *SMALL, *extra), *parts)
    assert tree(tmp_path) == before
    assert not Path("run").exists()


def test_missing_pretrained_model_lists_what_is_there(tmp_path: Path, ulmfit: Run) -> None:
    data = write_csv(tmp_path / "train.csv", reviews(40, 1))
    outcome = ulmfit("train", data, "--out", tmp_path / "run", "--pretrained", "no-such-model")
    refused(outcome, "there is no model 'no-such-model'", "shipped")


def test_a_classifier_is_no_pretrained_model(trained: Trained, tmp_path: Path, ulmfit: Run) -> None:
    outcome = ulmfit("train", trained.train, "--out", tmp_path / "run", "--pretrained", trained.out)
    refused(outcome, "is a classifier")
    assert not (tmp_path / "run").exists()


def test_evaluation_data_with_an_unknown_label(trained: Trained, tmp_path: Path, ulmfit: Run) -> None:
    data = write_csv(tmp_path / "new.csv", [("a", "good"), ("b", "bad"), ("c", "mixed")])
    refused(ulmfit("evaluate", trained.out, data), "new.csv, example 3 has the label 'mixed'", "'bad', 'good'.")


def test_bad_text_to_predict(trained: Trained, tmp_path: Path, ulmfit: Run) -> None:
    refused(ulmfit("predict", trained.out, tmp_path / "nothing.txt"), "nothing.txt does not exist")
    (tmp_path / "empty.txt").touch()
    refused(ulmfit("predict", trained.out, tmp_path / "empty.txt"), "empty.txt is empty")
    (tmp_path / "latin.txt").write_bytes(b"fine\ncaf\xe9\n")
    outcome = ulmfit("predict", trained.out, tmp_path / "latin.txt")
    assert outcome.code == 2
    assert outcome.json["text"] == "fine"
    assert "latin.txt is not UTF-8: line 2" in outcome.err


def test_models_of_another_kind(trained: Trained, language_model: Path, ulmfit: Run) -> None:
    refused(ulmfit("generate", trained.out), "holds a classifier, but a language model is needed here")
    refused(ulmfit("evaluate", language_model, trained.test), "holds a language model, but a classifier is needed")
    refused(ulmfit("predict", language_model), "holds a language model, but a classifier is needed")


def test_no_such_device(trained: Trained, ulmfit: Run) -> None:
    refused(ulmfit("evaluate", trained.out, trained.test, "--devices", "99"), "99 devices are asked for")


@pytest.mark.parametrize("name", ["nowhere", "folder"])
def test_no_model_there(name: str, tmp_path: Path, trained: Trained, ulmfit: Run) -> None:
    (tmp_path / "folder").mkdir()
    refused(ulmfit("evaluate", tmp_path / name, trained.test), name)


def test_an_unfinished_run_is_no_model_yet(tmp_path: Path, trained: Trained, ulmfit: Run) -> None:
    shutil.copytree(trained.out, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "model")
    refused(
        ulmfit("evaluate", tmp_path / "run", trained.test),
        "is a run that has not finished, or whose model was not saved",
    )


def test_a_run_of_ones_own_goes_before_a_shipped_model_of_its_name(
    tmp_path: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch, ulmfit: Run
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / SHIPPED).mkdir()  # a folder of something else does not
    assert ulmfit("info", SHIPPED).code == 0
    (tmp_path / SHIPPED / "config.json").write_text("{}", "utf-8")
    refused(ulmfit("info", SHIPPED), "is a run that has not finished")


def test_a_replacement_that_was_broken_off_is_named(tmp_path: Path, trained: Trained, ulmfit: Run) -> None:
    shutil.copytree(trained.out, tmp_path / "run")
    aside = tmp_path / "run" / ".model.old.abc"
    aside.mkdir()
    (tmp_path / "run" / "model").rename(aside / "model")
    refused(ulmfit("evaluate", tmp_path / "run", trained.test), f"the one before is {aside / 'model'}, move it back")


def test_a_model_without_its_manifest_is_no_run(tmp_path: Path, trained: Trained, ulmfit: Run) -> None:
    shutil.copytree(trained.out / "model", tmp_path / "model")
    (tmp_path / "model" / "manifest.json").unlink()
    refused(ulmfit("evaluate", tmp_path / "model", trained.test), "is a model folder without its manifest.json: copy")


def test_runs_of_several_seeds_are_named(tmp_path: Path, trained: Trained, ulmfit: Run) -> None:
    shutil.copytree(trained.out / "model", tmp_path / "run" / "seed-0" / "model")
    (tmp_path / "run" / "config.json").write_text("{}", "utf-8")
    refused(ulmfit("evaluate", tmp_path / "run", trained.test), f"give one, such as {tmp_path / 'run' / 'seed-0'}, or")


def test_training_does_not_start_from_a_classifier(tmp_path: Path, trained: Trained, ulmfit: Run) -> None:
    outcome = ulmfit("train", trained.train, "--pretrained", trained.out, "--out", tmp_path / "run")
    refused(outcome, f"training starts from a language model or an encoder: give {trained.out / 'language_model'}")


def test_there_is_no_option_to_go_on(tmp_path: Path, trained: Trained, ulmfit: Run) -> None:
    outcome = ulmfit("train", trained.train, "--resume", tmp_path)
    assert outcome.code == 2
    assert outcome.err.startswith("ulmfit train: there is no option --resume: the same command with the same")


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _alter(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("damage", [_truncate, _alter, Path.unlink])
@pytest.mark.parametrize("name", ["config.json", "sentencepiece.model", "parameters"])
def test_a_damaged_model(
    damage: Callable[[Path], None], name: str, tmp_path: Path, trained: Trained, ulmfit: Run
) -> None:
    shutil.copytree(trained.out / "model", tmp_path / "model")
    file = tmp_path / "model" / name
    if file.is_dir():
        file = max((path for path in file.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    damage(file)
    refused(ulmfit("evaluate", tmp_path / "model", trained.test), str(file), "copy the")


def test_another_format_version(tmp_path: Path, trained: Trained, ulmfit: Run) -> None:
    shutil.copytree(trained.out / "model", tmp_path / "model")
    _change_config(tmp_path / "model", format_version=99)
    refused(ulmfit("evaluate", tmp_path / "model", trained.test), "format version 99", "reads 1")


def test_a_vocabulary_that_does_not_fit(tmp_path: Path, trained: Trained, language_model: Path, ulmfit: Run) -> None:
    model = tmp_path / "model"
    shutil.copytree(trained.out / "model", model)
    for name in ("tokenizer.json", "sentencepiece.model"):
        shutil.copy(language_model / "model" / name, model / name)
    write_manifest(model)
    refused(ulmfit("evaluate", model, trained.test), "not the one that the model was trained with")
    _change_config(model, tokenizer=json.loads((language_model / "model" / "config.json").read_text())["tokenizer"])
    refused(ulmfit("evaluate", model, trained.test), "they do not belong together")


def _change_config(model: Path, **values: object) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, **values}))
    write_manifest(model)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (None, ["corpus.txt does not exist"]),
        (b"", ["corpus.txt is empty"]),
        (b"\n \n", ["hold no words"]),
        (b"fine\n\ncaf\xe9", ["line 3 has the byte 0xe9"]),
    ],
)
def test_bad_text_to_pretrain_on(content: bytes | None, parts: list[str], tmp_path: Path, ulmfit: Run) -> None:
    corpus = tmp_path / "corpus.txt"
    if content is not None:
        corpus.write_bytes(content)
    before = tree(tmp_path)
    refused(ulmfit("pretrain", corpus, "--out", tmp_path / "run", "--preset", "tiny"), *parts)
    assert tree(tmp_path) == before
    assert not (tmp_path / "run").exists()


def test_one_folder_holds_one_kind_of_run(trained: Trained, tmp_path: Path, ulmfit: Run) -> None:
    (tmp_path / "corpus.txt").write_text("some words\n\nand more")
    before = tree(trained.out)
    refused(ulmfit("pretrain", tmp_path / "corpus.txt", "--out", trained.out), "holds a run of ulmfit train")
    assert tree(trained.out) == before


def test_a_platform_that_jax_lacks_ends_training_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_PLATFORMS", "tpu")
    table = write_csv(tmp_path / "train.csv", reviews(20, 1))
    outcome = script("train", table, "--out", tmp_path / "run", *SMALL)
    assert outcome.returncode == 2
    assert b"JAX finds no device of the platform tpu: change or unset JAX_PLATFORMS" in outcome.stderr
    assert len(outcome.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()
