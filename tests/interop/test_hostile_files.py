"""Files that want to run a program are refused in one sentence, and nothing of them is run."""

from __future__ import annotations

import importlib
import os
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastai_files import VOCABULARIES, TorchLanguageModel, write
from fastcore_list import pickled_list

from ulmfit_jax.errors import ArtifactError
from ulmfit_jax.interop.fastai_vocabulary import read_vocabulary
from ulmfit_jax.interop.fastai_weights import read_weights

WORDS = VOCABULARIES["fastai-2"]


class Call:
    """Pickled, it is a call of any function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.function, self.arguments


def calls(marker: Path) -> dict[str, Call]:
    """Ways to leave a file behind."""
    return {
        "system": Call(os.system, f"touch {marker}"),
        "eval": Call(eval, f"open({str(marker)!r}, 'w')"),
        "open": Call(open, str(marker), "w"),
        "import_module": Call(importlib.import_module, "antigravity"),
    }


def refused(read: Callable[[Path], Any], path: Path, function: str, marker: Path) -> None:
    with pytest.raises(ArtifactError) as caught:
        read(path)
    assert re.match(
        rf"{re.escape(str(path))} names [\w.]+\.{function}, which could run code and was not touched: use [^\n]*$",
        str(caught.value),
    )
    assert not marker.exists()


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("function", ["system", "eval", "open", "import_module"])
def test_a_vocabulary_runs_nothing(tmp_path: Path, function: str, protocol: int) -> None:
    marker, path = tmp_path / "was-here", tmp_path / "itos.pkl"
    path.write_bytes(pickle.dumps([*WORDS, calls(marker)[function]], protocol))
    refused(read_vocabulary, path, function, marker)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("place", ["model", "opt", "name"])
def test_weights_run_nothing(tmp_path: Path, place: str, legacy: bool) -> None:
    marker = tmp_path / "was-here"
    state, call = TorchLanguageModel(len(WORDS)).state("fastai-2"), calls(tmp_path / "was-here")["system"]
    content = {
        "model": {"model": {**state, "0.extra": call}, "opt": {}},
        "opt": {"model": state, "opt": {"hypers": [call]}},
        "name": call,
    }[place]
    path, _ = write(tmp_path, content, WORDS, legacy=legacy)
    refused(read_weights, path, "system", marker)


def test_a_plain_pickle_in_the_place_of_weights_runs_nothing(tmp_path: Path) -> None:
    marker, path = tmp_path / "was-here", tmp_path / "model.pth"
    path.write_bytes(pickle.dumps(calls(marker)["system"]))
    refused(read_weights, path, "system", marker)


def test_a_whole_learner_is_refused(tmp_path: Path) -> None:
    """`learn.export` pickles classes of fastai, which would have to be imported."""
    path = tmp_path / "export.pkl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("export/data.pkl", b"cfastai.text.learner\nTextLearner\n)\x81.")
    refused(read_weights, path, "TextLearner", tmp_path / "never")


def test_an_attack_on_a_stand_in_leaves_no_trace(tmp_path: Path) -> None:
    """A pickle can set attributes of the classes that it may name; the next file gets fresh ones."""
    setting = b"X\x0c\x00\x00\x00__setstate__X\x03\x00\x00\x00bad"
    (tmp_path / "attack.pkl").write_bytes(b"\x80\x02cfastcore.foundation\nL\nN}" + setting + b"s\x86b.")
    with pytest.raises(ArtifactError, match="holds a type"):
        read_vocabulary(tmp_path / "attack.pkl")
    (tmp_path / "itos.pkl").write_bytes(pickled_list(WORDS))
    assert read_vocabulary(tmp_path / "itos.pkl").vocabulary.tokens == tuple(WORDS)
