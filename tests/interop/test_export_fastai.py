from __future__ import annotations

import dataclasses
import pickle
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from fastai_files import VOCABULARIES, TorchLanguageModel, torch, write

from ulmfit_jax.artifact import Artifact
from ulmfit_jax.errors import ArtifactError, ConfigError
from ulmfit_jax.interop import export_fastai, fastai_state, fastai_words, import_fastai
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.parameters import to_numpy
from ulmfit_jax.text import SentencePieceTokenizer, SpacyTokenizer
from ulmfit_jax.text.sentencepiece_training import MODEL_SPECIALS
from ulmfit_jax.training.classifier import classifier_definition
from ulmfit_jax.training.language_model import language_model_definition

TOKENIZER = SpacyTokenizer.train(["a good film and a bad film"] * 3)
SIZES = Architecture(len(TOKENIZER.vocabulary), 3, 4, 2)
HEAD = Head(2, (5,), (0.1,))

ENCODER_NAMES = [
    "encoder.weight",
    "encoder_dp.emb.weight",
    "rnns.0.weight_hh_l0_raw",
    "rnns.0.module.weight_ih_l0",
    "rnns.0.module.bias_ih_l0",
    "rnns.0.module.bias_hh_l0",
    "rnns.1.weight_hh_l0_raw",
    "rnns.1.module.weight_ih_l0",
    "rnns.1.module.bias_ih_l0",
    "rnns.1.module.bias_hh_l0",
]
BLOCK_NAMES = ["0.weight", "0.bias", "0.running_mean", "0.running_var", "0.num_batches_tracked", "2.weight"]
NAMES = {
    "encoder": ENCODER_NAMES,
    "language_model": [*(f"0.{name}" for name in ENCODER_NAMES), "1.decoder.weight", "1.decoder.bias"],
    "classifier": [
        *(f"0.module.{name}" for name in ENCODER_NAMES),
        *(f"1.layers.{index}.{name}" for index in (0, 1) for name in BLOCK_NAMES),
    ],
}


def model(kind: str) -> Artifact:
    if kind == "classifier":
        parameters, statistics = classifier_definition(SIZES, HEAD).initialise(0)
        statistics = to_numpy(statistics)
        return Artifact(kind, SIZES, TOKENIZER, to_numpy(parameters), statistics, ("bad", "good"), HEAD)
    parameters = to_numpy(language_model_definition(SIZES).initialise(0)[0])
    parameters["decoder"]["bias"] = np.arange(SIZES.vocabulary_size, dtype=np.float32)
    return Artifact(kind, SIZES, TOKENIZER, {"encoder": parameters["encoder"]} if kind == "encoder" else parameters)


@pytest.mark.parametrize("kind", NAMES)
def test_names_and_their_order_are_fastais(kind: str) -> None:
    assert list(fastai_state(model(kind))) == NAMES[kind]
    assert list(fastai_state(model(kind), encoder_only=True)) == NAMES["encoder"]


def test_a_calibrated_classifiers_temperature_is_in_its_last_layer() -> None:
    plain = model("classifier")
    calibrated = dataclasses.replace(plain, settings={"temperature": 2.5})
    before, after = fastai_state(plain), fastai_state(calibrated)
    for name in before:
        scale = 2.5 if name == "1.layers.1.2.weight" else 1.0
        np.testing.assert_allclose(after[name] * scale, before[name], rtol=1e-6)
    assert fastai_state(calibrated, encoder_only=True).keys() == fastai_state(plain, encoder_only=True).keys()


@pytest.mark.parametrize("kind", NAMES)
def test_files(tmp_path: Path, kind: str) -> None:
    written = export_fastai(model(kind), tmp_path / "models" / "mine.pth")
    labels = ["mine_labels.pkl"] if kind == "classifier" else []
    assert [path.name for path in written] == ["mine.pth", "mine_vocab.pkl", *labels]
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == sorted(path.name for path in written)
    state = torch.load(written[0], weights_only=True)
    assert list(state) == NAMES[kind]
    for name, array in fastai_state(model(kind)).items():
        np.testing.assert_array_equal(state[name].numpy(), array)
    assert pickle.loads(written[1].read_bytes()) == list(TOKENIZER.vocabulary.tokens)
    if labels:
        assert pickle.loads(written[2].read_bytes()) == ["bad", "good"]


def test_copies_of_the_embedding_are_stored_once(tmp_path: Path) -> None:
    written = export_fastai(model("language_model"), tmp_path / "mine.pth")
    state = torch.load(written[0], weights_only=True)
    places = {state[name].data_ptr() for name in ("0.encoder.weight", "0.encoder_dp.emb.weight", "1.decoder.weight")}
    assert len(places) == 1


@pytest.mark.parametrize("kind", ["language_model", "encoder"])
def test_what_is_written_is_read_again_bit_for_bit(tmp_path: Path, kind: str) -> None:
    weights, vocabulary = export_fastai(model(kind), tmp_path / "mine.pth")
    read = import_fastai(weights, vocabulary)
    assert (read.kind, read.architecture) == (kind, SIZES)
    assert read.tokenizer.fingerprint() == TOKENIZER.fingerprint()
    jax.tree.map(np.testing.assert_array_equal, read.parameters, model(kind).parameters)


@pytest.mark.parametrize("generation", VOCABULARIES)
def test_an_imported_model_is_written_in_fastai_2s_form(tmp_path: Path, generation: str) -> None:
    words = VOCABULARIES[generation]
    artifact = import_fastai(*write(tmp_path / "old", TorchLanguageModel(len(words)).state(generation), words))
    read = import_fastai(*export_fastai(artifact, tmp_path / "new.pth"), rules=generation)
    assert read.tokenizer.fingerprint() == artifact.tokenizer.fingerprint()
    jax.tree.map(np.testing.assert_array_equal, read.parameters, artifact.parameters)


def test_a_model_of_pieces_brings_its_pieces(tmp_path: Path) -> None:
    tokenizer = SentencePieceTokenizer.train(["a good film and a bad film"] * 9, vocabulary_size=30)
    sizes = Architecture(len(tokenizer.vocabulary), 3, 4, 2)
    parameters = to_numpy(language_model_definition(sizes).initialise(0)[0])
    artifact = Artifact("language_model", sizes, tokenizer, parameters)
    assert fastai_words(artifact) == [*MODEL_SPECIALS, *tokenizer.vocabulary.tokens[9:]]
    written = export_fastai(artifact, tmp_path / "mine.pth")
    assert written[-1].name == "mine_spm.model"
    assert SentencePieceTokenizer(written[-1].read_bytes()).fingerprint() == tokenizer.fingerprint()


def test_nothing_is_overwritten_and_nothing_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_vocab.pkl").write_text("precious")
    with pytest.raises(ArtifactError, match=r"mine_vocab\.pkl exists already: choose another name, nothing was overwr"):
        export_fastai(model("encoder"), tmp_path / "mine.pth")

    def fail(*_: object) -> None:
        raise RuntimeError("unexpected pos 64\nvs 0")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(ArtifactError, match=r"other\.pth cannot be written \(unexpected pos 64 vs 0\): choose another"):
        export_fastai(model("encoder"), tmp_path / "other.pth")
    with pytest.raises(ArtifactError, match=r"cannot be written \(Not a directory\): choose another place"):
        export_fastai(model("encoder"), tmp_path / "mine_vocab.pkl" / "below" / "other.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["mine_vocab.pkl"]
    assert (tmp_path / "mine_vocab.pkl").read_text() == "precious"


def test_a_name_that_fastai_does_not_find_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mine\.pt is no name that fastai finds: give one that ends in \.pth"):
        export_fastai(model("encoder"), tmp_path / "mine.pt")


def test_a_classifier_of_all_layers_gives_its_encoder_only(tmp_path: Path) -> None:
    deep = replace(HEAD, pool_layers="all")
    parameters, statistics = map(to_numpy, classifier_definition(SIZES, deep).initialise(0))
    artifact = Artifact("classifier", SIZES, TOKENIZER, parameters, statistics, ("bad", "good"), deep)
    with pytest.raises(ConfigError, match="reads all layers, and those of fastai the last one only: write its encoder"):
        export_fastai(artifact, tmp_path / "mine.pth")
    assert not list(tmp_path.iterdir())
    assert list(fastai_state(artifact, encoder_only=True)) == ENCODER_NAMES


def test_without_torch_one_sentence_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ConfigError, match=r"needs torch: install it with pip install '\.\[fastai\]'"):
        export_fastai(model("encoder"), tmp_path / "mine.pth")
    assert not list(tmp_path.iterdir())
