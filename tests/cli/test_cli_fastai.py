"""`ulmfit import-fastai` and `ulmfit export-fastai`: there and back, and each mistake in one sentence."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from command_line import Outcome, tree

pytest.importorskip("torch", reason="torch, which writes fastai's files, is not installed")
pytest.importorskip("spacy", reason="spaCy, which imported models cut words with, is not installed")

import torch

from ulmfit_jax.artifact import Artifact, load_artifact
from ulmfit_jax.interop import export_fastai
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.parameters import to_numpy
from ulmfit_jax.text import SpacyTokenizer
from ulmfit_jax.training.language_model import language_model_definition

Run = Callable[..., Outcome]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny language model in fastai's form."""
    tokenizer = SpacyTokenizer.train(["a good film and a bad film"] * 3)
    sizes = Architecture(len(tokenizer.vocabulary), 3, 4, 2)
    parameters = to_numpy(language_model_definition(sizes).initialise(0)[0])
    folder = tmp_path_factory.mktemp("fastai")
    weights, vocabulary = export_fastai(Artifact("language_model", sizes, tokenizer, parameters), folder / "mine.pth")
    return weights, vocabulary


def test_there_and_back(files: tuple[Path, Path], tmp_path: Path, ulmfit: Run) -> None:
    outcome = ulmfit("import-fastai", *files, "--out", tmp_path / "model", "--language", "de", "--backwards")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == (
        f"{tmp_path / 'model'}: language model of fastai-2, 16 words, 2 layers, 4 hidden and 3 embedding features\n"
    )
    artifact = load_artifact(tmp_path / "model", "language_model")
    assert (artifact.backwards, artifact.tokenizer.language) == (True, "de")
    outcome = ulmfit("export-fastai", tmp_path / "model", "--out", tmp_path / "again.pth")
    assert outcome.out == f"{tmp_path / 'again.pth'}\n{tmp_path / 'again_vocab.pkl'}\n"
    again, original = torch.load(tmp_path / "again.pth"), torch.load(files[0])
    assert list(again) == list(original)
    for name in original:
        np.testing.assert_array_equal(again[name], original[name])


def test_an_encoder_for_load_encoder(files: tuple[Path, Path], tmp_path: Path, ulmfit: Run) -> None:
    ulmfit("import-fastai", *files, "--out", tmp_path / "model")
    ulmfit("export-fastai", tmp_path / "model", "--encoder", "--out", tmp_path / "encoder.pth")
    assert next(iter(torch.load(tmp_path / "encoder.pth"))) == "encoder.weight"
    arguments = [tmp_path / "encoder.pth", tmp_path / "encoder_vocab.pkl", "--out", tmp_path / "encoder", "--json"]
    outcome = ulmfit("import-fastai", *arguments, "--rules", "fastai-1")
    assert (outcome.json["kind"], outcome.json["rules"], outcome.json["n_layers"]) == ("encoder", "fastai-1", 2)


def refused(outcome: Outcome, *parts: str) -> None:
    assert (outcome.code, outcome.out) == (2, ""), outcome.err
    assert outcome.err.startswith("ulmfit: ")
    assert outcome.err.count("\n") == 1
    for part in parts:
        assert part in outcome.err


class Attack:
    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return eval, ("1",)


MISTAKES = {
    "more.pkl": (lambda words: pickle.dumps([*words, "more"]), ["more.pkl has 17 words and", "mine.pth 16 rows"]),
    "attack.pkl": (
        lambda words: pickle.dumps([*words, Attack()]),
        ["attack.pkl names builtins.eval", "was not touched"],
    ),
    "cut.pkl": (
        lambda words: pickle.dumps(words)[:-9],
        ["cut.pkl cannot be read", "is damaged, or not a pickled list"],
    ),
    "text.pkl": (lambda words: b"a good film", ["text.pkl cannot be read"]),
    "labels.pkl": (lambda words: pickle.dumps(["bad", "good"]), ["labels.pkl begins neither with xxunk"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_bad_vocabulary(name: str, files: tuple[Path, Path], tmp_path: Path, ulmfit: Run) -> None:
    content, parts = MISTAKES[name]
    (tmp_path / name).write_bytes(content(pickle.loads(files[1].read_bytes())))
    before = tree(tmp_path)
    refused(ulmfit("import-fastai", files[0], tmp_path / name, "--out", tmp_path / "model"), *parts)
    assert tree(tmp_path) == before


def test_bad_weights_and_places(files: tuple[Path, Path], tmp_path: Path, ulmfit: Run) -> None:
    weights, vocabulary = files
    model = ["--out", tmp_path / "model"]
    refused(ulmfit("import-fastai", vocabulary, vocabulary, *model), "_vocab.pkl cannot be read")
    refused(ulmfit("import-fastai", tmp_path / "no.pth", vocabulary, *model), "no.pth cannot be read (No such file")
    refused(ulmfit("import-fastai", *files, *model, "--language", "kl"), "of the language 'kl'")
    refused(ulmfit("import-fastai", *files, "--out", weights), f"{weights} exists already")
    refused(ulmfit("export-fastai", tmp_path / "model", "--out", tmp_path / "x.pth"), "there is no model")
    assert not list(tmp_path.iterdir())
    ulmfit("import-fastai", *files, *model)
    refused(ulmfit("import-fastai", *files, *model), "model exists already: choose another folder")
    refused(ulmfit("generate", weights, "--prompt", "x"), "ulmfit import-fastai makes one")
    refused(ulmfit("export-fastai", tmp_path / "model", "--out", weights), f"{weights} exists already")
    refused(ulmfit("export-fastai", tmp_path / "model", "--out", tmp_path / "x.bin"), "ends in .pth")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
