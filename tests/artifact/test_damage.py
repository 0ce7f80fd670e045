"""What is wrong with a model folder is said in one sentence, and what was on disk stays."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_models import KINDS, SIZES, model

from ulmfit_jax.artifact import load_artifact, save_artifact
from ulmfit_jax.artifact.folder import FORMAT_VERSION
from ulmfit_jax.artifact.manifest import MANIFEST, write_manifest
from ulmfit_jax.errors import ArtifactError
from ulmfit_jax.text.words import WordTokenizer


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine") / "model"
    save_artifact(model("classifier"), folder)
    return folder


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    """A classifier's folder to damage."""
    return Path(shutil.copytree(pristine, tmp_path / "model"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(folder: Path, said: str, kind: str | None = None) -> None:
    with pytest.raises(ArtifactError, match=said) as caught:
        load_artifact(folder, kind)
    assert "\n" not in str(caught.value)


def test_every_missing_truncated_or_altered_file_is_named(folder: Path) -> None:
    names = [name for name in contents(folder) if name != MANIFEST]
    assert {"config.json", "tokenizer.json", "words.json", "README.md"} < set(names)
    assert any(name.startswith("parameters") for name in names)
    for name in names:
        file = folder / name
        whole = file.read_bytes()
        file.unlink()
        refused(folder, f"{file} is missing: copy")
        file.write_bytes(whole[:-1])
        refused(folder, f"{file} has {len(whole) - 1} bytes where {len(whole)} were saved: copy") if whole else None
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]) if whole else b"")
        refused(folder, rf"{file} is not what was saved \(its SHA-256 differs\)") if whole else None
        file.write_bytes(whole)
    load_artifact(folder)


def test_no_folder_and_no_model_folder(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "there is no model folder .*nowhere: give the folder")
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file", "there is no model folder")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.csv").write_text("x")
    refused(tmp_path / "data", r"data has no manifest\.json: it is not a model folder")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"files": []}', '{"files": {"a": {"size": "x"}}}'])
def test_a_manifest_that_is_none(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text)
    refused(folder, r"manifest\.json cannot be read .*: copy the model folder again")


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "parameters/../../outside", "link"])
def test_a_manifest_naming_a_file_outside_the_folder(folder: Path, name: str) -> None:
    (folder.parent / "outside").write_text("secret")
    (folder / "link").symlink_to(folder.parent / "outside")
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][name] = {"size": 6, "sha256": "0" * 64}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    refused(folder, f"names the file '{name}' outside the folder: do not use this model")


@pytest.mark.parametrize("name", ["\n", "a\0b", "\ud800", "x" * 5000])
def test_a_manifest_naming_a_file_that_no_model_has(folder: Path, name: str) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][name] = {"size": 6, "sha256": "0" * 64}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    refused(folder, "which no model has: do not use this model")


def reconfigured(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change `config.json` and make the manifest agree, as a hand or another version might."""
    config = json.loads((folder / "config.json").read_text())
    changed = change(config)
    (folder / "config.json").write_text(json.dumps(config if changed is None else changed))
    write_manifest(folder)


def test_a_newer_format_version(folder: Path) -> None:
    reconfigured(folder, lambda config: config.update(format_version=FORMAT_VERSION + 1))
    refused(
        folder,
        f"has the format version {FORMAT_VERSION + 1}, this version of ulmfit-jax reads {FORMAT_VERSION}: install",
    )


@pytest.mark.parametrize(("kind", "wanted"), [(kind, wanted) for kind in KINDS for wanted in KINDS if kind != wanted])
def test_a_model_of_another_kind(tmp_path: Path, kind: str, wanted: str) -> None:
    save_artifact(model(kind), tmp_path / "model")
    refused(
        tmp_path / "model", f"holds an? {kind.replace('_', ' ')}, but an? {wanted.replace('_', ' ')} is needed", wanted
    )


def test_an_unknown_kind(folder: Path) -> None:
    reconfigured(folder, lambda config: config.update(kind="translator"))
    refused(folder, "holds a 'translator', which is not a model of ulmfit-jax")


def test_a_tokeniser_that_is_not_the_model_s(folder: Path) -> None:
    WordTokenizer.train(["another text"] * 3).save(folder)
    write_manifest(folder)
    refused(folder, "the tokeniser is not the one that the model was trained with")


def test_a_vocabulary_that_does_not_fit_the_weights(tmp_path: Path) -> None:
    other = WordTokenizer.train([" ".join(f"word{i}" for i in range(30))] * 3)
    save_artifact(dataclasses.replace(model("language_model"), tokenizer=other), tmp_path / "model")
    entries = len(other.vocabulary)
    refused(tmp_path / "model", f"the tokeniser has {entries} entries and the embedding {SIZES.vocabulary_size} rows")


def test_arrays_that_do_not_fit_the_architecture(folder: Path) -> None:
    reconfigured(folder, lambda config: config["architecture"].update(hidden_size=5))
    refused(folder, r"encoder/lstm_0/input_bias has the shape \(16,\) where the network needs \(20,\)")


def test_labels_that_do_not_fit_the_head(folder: Path) -> None:
    reconfigured(folder, lambda config: config.update(labels=["bad", "good", "so-so"]))
    refused(folder, "the number of labels is not that of the head's outputs")


@pytest.mark.parametrize(
    "change",
    [
        lambda config: [],
        lambda config: config.pop("tokenizer") and None,
        lambda config: config.pop("architecture") and None,
        lambda config: config["architecture"].update(depth=3),
        lambda config: config.update(architecture=3),
        lambda config: config.update(head={"outputs": 2}),
    ],
)
def test_a_configuration_that_is_none(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    reconfigured(folder, change)
    refused(folder, r"config\.json (cannot be read \(it )?is not what .* copy the model folder again")


def test_parameters_that_are_none(folder: Path) -> None:
    shutil.rmtree(folder / "parameters")
    write_manifest(folder)
    refused(folder, r"parameters is not in manifest\.json, so nothing vouches for it: copy the model folder again")


def occupied_by_files(place: Path) -> None:
    place.mkdir()
    (place / "thesis.txt").write_text("years of work")


def occupied_by_another_manifest(place: Path) -> None:
    place.mkdir()
    (place / MANIFEST).write_text('{"name": "an extension of a browser"}')


def occupied_by_a_model_and_files(place: Path) -> None:
    save_artifact(model("encoder"), place)
    (place / "thesis.txt").write_text("years of work")


def occupied_by_a_file(place: Path) -> None:
    place.write_text("years of work")


@pytest.mark.parametrize(
    "occupy", [occupied_by_files, occupied_by_another_manifest, occupied_by_a_model_and_files, occupied_by_a_file]
)
def test_a_place_that_is_something_else_s_is_left_as_it_is(tmp_path: Path, occupy: Callable[[Path], None]) -> None:
    occupy(tmp_path / "place")
    before = contents(tmp_path)
    with pytest.raises(ArtifactError, match=r"place .*choose another place, nothing was overwritten"):
        save_artifact(model("classifier"), tmp_path / "place")
    assert contents(tmp_path) == before


def test_a_place_inside_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArtifactError, match=r"file/model cannot be written .*: choose another place"):
        save_artifact(model("encoder"), tmp_path / "file" / "model")


@pytest.mark.parametrize("step", ["arrays", "tokenizer", "card", "manifest", "first rename", "second rename"])
def test_a_failing_write_leaves_the_old_model_whole(folder: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(folder)
    full = OSError(errno.ENOSPC, "No space left on device")
    renames: list[Path] = []
    rename = Path.rename

    def fail(*_: Any, **__: Any) -> None:
        raise full

    def fail_to_rename(self: Path, target: Path) -> Path:
        renames.append(target)
        if len(renames) == (1 if step == "first rename" else 2):
            raise full
        return rename(self, target)

    new = model("language_model")
    if step == "arrays":
        monkeypatch.setattr("orbax.checkpoint.StandardCheckpointer.save", fail)
    elif step == "tokenizer":
        monkeypatch.setattr(WordTokenizer, "save", fail)
    elif step in ("card", "manifest"):
        monkeypatch.setattr(f"ulmfit_jax.artifact.folder.{'model_card' if step == 'card' else 'write_manifest'}", fail)
    else:
        monkeypatch.setattr(Path, "rename", fail_to_rename)
    with pytest.raises(ArtifactError, match=r"could not be written .*no free disk left.*nothing there was changed"):
        save_artifact(new, folder)
    monkeypatch.undo()
    assert contents(folder) == before
    assert os.listdir(folder.parent) == ["model"]
    np.testing.assert_array_equal(
        load_artifact(folder).parameters["head"]["dense_0"]["kernel"],
        model("classifier").parameters["head"]["dense_0"]["kernel"],
    )


@pytest.mark.parametrize("renames", [1, 2])
def test_an_interruption_between_two_renames_loses_no_model(
    renames: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal comes after the old folder has gone aside, or after the new one is in its place."""
    place, rename, done = tmp_path / "model", Path.rename, 0
    save_artifact(model("encoder"), place)

    def interrupted(path: Path, target: Path) -> Path:
        nonlocal done
        result = rename(path, target)
        done += 1
        if done == renames:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_artifact(model("classifier"), place)
    monkeypatch.undo()
    assert load_artifact(place).kind == ("encoder" if renames == 1 else "classifier")
    assert list(tmp_path.iterdir()) == [place]


def test_the_folder_that_one_is_in_may_be_replaced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    save_artifact(model("classifier"), Path("."))
    assert load_artifact(folder).kind == "classifier"
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
