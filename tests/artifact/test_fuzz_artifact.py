"""Whatever stands in a model folder: the very same model, or one sentence; no other file read, memory bounded."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import model

from fuzzing import Edit, cases, check_sentence, edited, edits, memory_below, places, plain_values, replaced
from ulmfit_jax import Ensemble
from ulmfit_jax.artifact import Artifact, load_artifact, save_artifact
from ulmfit_jax.artifact.arrays import FOLDER, write_arrays
from ulmfit_jax.artifact.manifest import MANIFEST, write_manifest
from ulmfit_jax.errors import ArtifactError, UlmfitError

# Where one array cannot be read, Orbax drops what it has begun for the others, and Python reports each.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

opened: list[str] | None = None
"""What Python opens and runs while this is a list."""


def _of_python(path: str) -> bool:
    """Whether a file belongs to Python or an installed package: an import, or a codec that is needed."""
    return path.startswith((sys.prefix, sys.base_prefix))


def _in_a_traceback() -> bool:
    """Whether a traceback is being formatted, for which Python parses source lines."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_filename != traceback.__file__:
        frame = frame.f_back
    return frame is not None


def _hear(event: str, arguments: Any) -> None:
    if opened is None:
        return
    if event in ("open", "os.listdir", "os.scandir"):
        path = os.path.abspath(os.fsdecode(arguments[0])) if isinstance(arguments[0], (str, bytes)) else ""
        if not _of_python(path):
            opened.append(path)
    elif event == "exec":
        if not _of_python(arguments[0].co_filename):
            opened.append(f"exec {arguments[0].co_filename}")
    elif event == "compile":
        if not _in_a_traceback():
            opened.append(f"compile {arguments[0]!r}")
    elif event in ("os.system", "os.exec", "subprocess.Popen"):
        opened.append(event)


sys.addaudithook(_hear)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pristine") / "model"
    save_artifact(model("classifier"), folder)
    load_artifact(folder)  # what is imported to read a model is imported now
    return folder


numbers = itertools.count()


@pytest.fixture(scope="module")
def place(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Another copy of a classifier's folder at each call; the one before is gone."""
    base = tmp_path_factory.mktemp("places")

    def copied() -> Path:
        shutil.rmtree(base / "copies", ignore_errors=True)
        return Path(shutil.copytree(pristine, base / "copies" / str(next(numbers)), symlinks=True))

    return copied


def names(folder: Path) -> list[str]:
    """All files of a model folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def load(folder: Path) -> Artifact | None:
    """The model, or None where it is refused in a sentence; nothing outside of the folder is opened or run."""
    global opened
    opened = []
    try:
        return load_artifact(folder)
    except UlmfitError as error:
        check_sentence(error, folder, "sentencepiece.model", "words.json", "array")
        return None
    finally:
        heard, opened = opened, None
        strange = [name for name in heard if name and not name.startswith((str(folder), "/proc/", "/sys/", "/dev/"))]
        assert not strange


def same(found: Artifact, expected: Artifact) -> bool:
    """Whether two models are one, to the last bit."""
    equal = jax.tree.map(np.array_equal, found.parameters, expected.parameters)
    return found.config() == expected.config() and all(jax.tree.leaves(equal))


@cases(60)
@given(st.data(), edits)
def test_a_damaged_folder_is_the_same_model_or_refused(
    pristine: Path, place: Callable[[], Path], data: st.DataObject, changes: list[Edit]
) -> None:
    folder = place()
    name = data.draw(st.sampled_from(names(folder)))
    before = (folder / name).read_bytes()
    (folder / name).write_bytes(edited(before, changes))
    found = load(folder)
    if found is not None:
        assert same(found, load_artifact(pristine))
    if name != MANIFEST and (folder / name).read_bytes() != before:
        assert found is None


@cases(60)
@given(st.data(), edits)
def test_a_made_up_folder_whose_manifest_agrees_is_a_model_or_refused(
    place: Callable[[], Path], data: st.DataObject, changes: list[Edit]
) -> None:
    folder = place()
    name = data.draw(st.sampled_from([name for name in names(folder) if name != MANIFEST]))
    (folder / name).write_bytes(edited((folder / name).read_bytes(), changes))
    write_manifest(folder)
    load(folder)


@cases(60)
@given(st.data(), plain_values)
def test_any_value_in_any_field_is_a_model_or_refused(
    place: Callable[[], Path], data: st.DataObject, value: Any
) -> None:
    folder = place()
    file = folder / data.draw(st.sampled_from(["config.json", "tokenizer.json", "words.json", "parameters/_METADATA"]))
    content = json.loads(file.read_text("utf-8"))
    where = data.draw(st.sampled_from(places(content)))
    file.write_text(json.dumps(replaced(content, where, value)), "utf-8")
    write_manifest(folder)
    load(folder)


@cases(40)
@given(st.data(), plain_values)
def test_any_value_in_a_manifest_is_the_same_model_or_refused(
    pristine: Path, place: Callable[[], Path], data: st.DataObject, value: Any
) -> None:
    folder = place()
    content = json.loads((folder / MANIFEST).read_text("utf-8"))
    where = data.draw(st.sampled_from(places(content)))
    changed = replaced(content, where, value)
    if data.draw(st.booleans()) and isinstance(changed.get("files") if isinstance(changed, dict) else None, dict):
        changed["files"][data.draw(st.text(max_size=9))] = {"size": 1, "sha256": ""}
    (folder / MANIFEST).write_text(json.dumps(changed), "utf-8")
    found = load(folder)
    assert found is None or same(found, load_artifact(pristine))


def huge_arrays(folder: Path) -> None:
    """A matrix of zeros is a few bytes on disk, whatever its size."""
    artifact = model("classifier")
    zeros = np.broadcast_to(np.float16(0), (3000, 2000))
    parameters = {**artifact.parameters, "encoder": {**artifact.parameters["encoder"], "embedding": zeros}}
    shutil.rmtree(folder / FOLDER)
    write_arrays(parameters, artifact.statistics, folder, np.float16)


def deep_configuration(folder: Path) -> None:
    (folder / "config.json").write_text('{"a":' + "[" * 100_000)


def long_configuration(folder: Path) -> None:
    with (folder / "config.json").open("wb") as file:
        file.truncate(1 << 40)


def sizes(name: str, value: int) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        config[name.split(".")[0]][name.split(".")[1]] = [value] if name == "head.hidden" else value
        (folder / "config.json").write_text(json.dumps(config))

    return change


def outside(folder: Path) -> None:
    """Orbax has noted the name of an array that leads out of the folder."""
    path = folder / FOLDER / "_METADATA"
    path.write_text(
        path.read_text().replace('"key": "decoder"', '"key": "../x"').replace('"key": "head"', '"key": ".."')
    )


HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "arrays": (huge_arrays, "bytes for arrays of .* do not use this model"),
    "depth": (deep_configuration, r"config\.json cannot be read"),
    "layers": (sizes("architecture.n_layers", 10**12), "has sizes that no network has"),
    "width": (sizes("architecture.hidden_size", 10**15), "has sizes that no network has"),
    "vocabulary": (sizes("architecture.vocabulary_size", 10**8), "has the shape"),
    "head": (sizes("head.hidden", 10**30), "has sizes that no network has"),
    "bptt": (sizes("settings.bptt", 10**12), "a bptt that is no number of tokens"),
    "outside": (outside, "names an array '../?x?': do not use this model|names an array '..': do not use"),
}


@pytest.mark.parametrize(("change", "said"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_made_up_folder_takes_neither_memory_nor_time(
    place: Callable[[], Path], change: Callable[[Path], None], said: str
) -> None:
    folder = place()
    change(folder)
    write_manifest(folder)
    with memory_below(150), pytest.raises(ArtifactError, match=said) as caught:
        load_artifact(folder)
    check_sentence(caught.value, folder)


@pytest.mark.parametrize("name", ["config.json", "README.md", MANIFEST])
def test_a_file_of_a_terabyte_is_not_read(place: Callable[[], Path], name: str) -> None:
    folder = place()
    with (folder / name).open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ArtifactError, match=r"has 1099511627776 bytes where|has 1,099,511,627,776 bytes, which is far"):
        load_artifact(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "words.json", MANIFEST])
def test_a_pipe_is_not_waited_for(place: Callable[[], Path], name: str) -> None:
    folder = place()
    (folder / name).unlink()
    write_manifest(folder)
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(ArtifactError, match=r"is not in manifest\.json|has no manifest\.json|it is no file"):
        load_artifact(folder)


@pytest.mark.parametrize("name", ["config.json", "parameters/d/stray"])
def test_a_file_that_the_manifest_does_not_list_is_not_read(place: Callable[[], Path], name: str) -> None:
    folder = place()
    content = json.loads((folder / MANIFEST).read_text())
    content["files"].pop(name, None)
    (folder / MANIFEST).write_text(json.dumps(content))
    (folder / name).touch()
    with pytest.raises(ArtifactError, match=rf"{name} is not in manifest\.json, so nothing vouches for it"):
        load_artifact(folder)


@pytest.mark.parametrize("member", ["..", "../model", "/etc", "member-0/../..", "", None, 3, ["member-0"]])
def test_an_ensemble_names_members_in_its_own_folder_only(tmp_path: Path, member: Any) -> None:
    config = {"format_version": 1, "kind": "ensemble", "labels": ["a"], "members": [member]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    write_manifest(tmp_path)
    with pytest.raises(ArtifactError, match=r"config\.json names no members"):
        Ensemble.load(tmp_path)
