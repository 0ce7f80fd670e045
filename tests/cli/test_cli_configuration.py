"""Options from a TOML file: what counts, what is refused, and that a run's own file starts it again."""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Outcome, Trained, finished, tree

from ulmfit_jax.cli.configuration import NOT_SAVED, configuration_text, parse_arguments, sub_parsers
from ulmfit_jax.cli.main import build_parser

Run = Callable[..., Outcome]


def parsed(*arguments: str | Path) -> argparse.Namespace:
    return parse_arguments(build_parser(), [str(argument) for argument in arguments])


def saved(options: argparse.Namespace) -> dict[str, object]:
    return {name: value for name, value in vars(options).items() if name not in NOT_SAVED}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(
        'data = "reviews.csv"\nout = "run"\nlm-epochs = 2\nepochs = [1, 0, 0, 0]\nvalidation-fraction = 0\n'
        'unlabeled = ["more.txt", "archive.jsonl"]\ntext-column = "body"\ncache-frozen = true\npreset = "tiny"\n',
        "utf-8",
    )
    return path


def test_a_file_is_as_good_as_the_command_line(file: Path) -> None:
    same = ["reviews.csv", "--out", "run", "--lm-epochs", "2", "--epochs", "1,0,0,0", "--validation-fraction", "0"]
    same += ["--unlabeled", "more.txt", "archive.jsonl", "--text-column", "body", "--cache-frozen", "--preset", "tiny"]
    assert saved(parsed("train", "--config", file)) == saved(parsed("train", *same))


def test_the_command_line_wins(file: Path) -> None:
    options = parsed(
        "train", "--config", file, "other.csv", "--unlabeled", "new.txt", "--no-cache-frozen", "--out", "x"
    )
    assert (options.data, options.unlabeled, options.cache_frozen, options.out) == (
        "other.csv",
        ["new.txt"],
        False,
        "x",
    )
    assert (options.lm_epochs, options.text_column) == (2, ["body"])
    behind = parsed("train", "other.csv", f"--config={file}", "--lm-epochs", "0", "--text-column", "title")
    assert (behind.data, behind.lm_epochs, behind.text_column) == ("other.csv", 0, ["title"])


@pytest.mark.parametrize("command", ["train", "pretrain", "finetune-lm"])
def test_each_training_command_reads_and_writes_its_options(command: str, tmp_path: Path) -> None:
    options = parsed(
        command, 'a "b"\\.csv', "--out", "dé", "--seed", "7", "--learning-rate", "1e-3", "--batch-size", "8"
    )
    file = tmp_path / "again.toml"
    file.write_text(configuration_text(command, options), "utf-8")
    assert saved(parsed(command, "--config", file)) == saved(options)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("lm_epochs = 1", "there is no option 'lm_epochs' of ulmfit train: did you mean lm-epochs?"),
        ("zzz = 1", "there is no option 'zzz' of ulmfit train: ulmfit train --help names those there are"),
        ("config = 'x'", "there is no option 'config'"),
        ("no-cache-frozen = true", "there is no option 'no-cache-frozen'"),
        ("lm-epochs = '2'", "lm-epochs is '2', which is no number: give one, without quotation marks"),
        ("lm-epochs = true", "lm-epochs is True, which is no number"),
        ("lm-epochs = 1.5", "lm-epochs: '1.5' is not a whole number of at least 0"),
        ("lm-epochs = []", "lm-epochs is [], which is no number"),
        ("epochs = [1, 2, 3]", "epochs: '1,2,3' is neither four numbers"),
        ("learning-rate = nan", "learning-rate: 'nan' is not a number above 0"),
        ("cache-frozen = 1", "cache-frozen is 1: give true or false"),
        ("preset = 'huge'", "preset is 'huge': choose one of ulmfit, small, tiny"),
        ("test = 3", "test is 3, which is no text: give it in quotation marks"),
        ("unlabeled = [1]", "unlabeled is 1, which is no text"),
        ("seed = {a = 1}", "seed is {'a': 1}, which is no number"),
        ("seed 1", "is not TOML: Expected '='"),
        ("seed = 1\nseed = 2", "is not TOML: Cannot overwrite a value"),
    ],
)
def test_a_mistake_names_the_file_and_the_key(content: str, sentence: str, tmp_path: Path, ulmfit: Run) -> None:
    file = tmp_path / "run.toml"
    file.write_text(content, "utf-8")
    outcome = ulmfit("train", "reviews.csv", "--out", tmp_path / "run", "--config", file)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(f"ulmfit: {file}")
    assert sentence in outcome.err
    assert outcome.err.count("\n") == 1


def test_files_that_cannot_be_read(tmp_path: Path, ulmfit: Run) -> None:
    (tmp_path / "latin.toml").write_bytes(b"out = 'caf\xe9'")
    for name, part in (
        ("none.toml", "cannot be read (No such file or directory)"),
        (".", "cannot be read (Is a directory)"),
        ("latin.toml", "is not UTF-8"),
    ):
        outcome = ulmfit("train", "--config", tmp_path / name)
        assert outcome.code == 2
        assert part in outcome.err
        assert outcome.err.count("\n") == 1


def test_what_neither_gives_is_still_required(file: Path, ulmfit: Run) -> None:
    file.write_text("seed = 1", "utf-8")
    outcome = ulmfit("train", "--config", file)
    assert outcome.code == 2
    assert "the following arguments are required: --out" in outcome.err
    file.write_text("out = 'run'", "utf-8")
    assert "the following arguments are required: data" in ulmfit("train", "--config", file).err.replace("DATA", "data")
    assert "expected one argument" in ulmfit("train", "x.csv", "--config").err


def test_a_run_keeps_its_options_and_is_started_again_by_them(trained: Trained, ulmfit: Run) -> None:
    content = tomllib.loads((trained.out / "ulmfit.toml").read_text("utf-8"))
    assert content["data"] == str(trained.train)
    assert (content["epochs"], content["preset"]) == ([1, 0, 0, 0], "tiny")
    assert not content.keys() & {"json", "config", "dry-run", "run", "command"}
    before = tree(trained.out)
    again = ulmfit("train", "--config", trained.out / "ulmfit.toml", "--json")
    assert (again.code, again.err) == (0, finished(trained.out))
    assert again.json == trained.json
    assert tree(trained.out) == before


def test_options_of_both_records_are_the_same(trained: Trained) -> None:
    kept = json.loads((trained.out / "config.json").read_text("utf-8"))["options"]
    content = tomllib.loads((trained.out / "ulmfit.toml").read_text("utf-8"))
    assert {name.replace("-", "_"): value for name, value in content.items()} == {
        name: value for name, value in kept.items() if name not in NOT_SAVED and value is not None and value != []
    }


def test_only_training_commands_take_a_configuration() -> None:
    with_configuration = {
        name
        for name, command in sub_parsers(build_parser()).items()
        if any("--config" in action.option_strings for action in command._actions)
    }
    assert with_configuration == {"train", "pretrain", "finetune-lm", "learn"}
