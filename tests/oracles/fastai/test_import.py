"""Files that fastai itself saves, read here: the answers stay the same."""

from __future__ import annotations

import pickle
from pathlib import Path

import jax
import numpy as np
import pytest

from oracles.fastai.networks import LANGUAGE_MODEL, drawn, fastai_language_model
from oracles.fastai.reference import fastai, torch

pytest.importorskip("spacy")

from ulmfit_jax.artifact import Artifact
from ulmfit_jax.interop import import_fastai
from ulmfit_jax.nn.awd_lstm import initial_state
from ulmfit_jax.nn.softmax import logits
from ulmfit_jax.training.language_model import language_model_definition

TEXT = "The film was GOOD, really good!!!! I saw it again and again."


def saved(folder: Path, size: int = 40, nested: bool = True) -> tuple[torch.nn.Module, list[str], tuple[Path, Path]]:
    """A language model of fastai after `learn.save`, with the vocabulary that fastai makes of a text."""
    model = fastai_language_model(drawn(LANGUAGE_MODEL)[0]).eval()
    tokens = list(fastai.tokenize1(TEXT, fastai.WordTokenizer("en")))
    words = list(fastai.make_vocab(fastai.Counter(tokens), min_freq=1))
    words += [f"word{i}" for i in range(size - len(words))]
    optimizer = fastai.Adam(list(model.parameters()), lr=1e-3)
    optimizer.set_hypers(lr=[np.float64(1e-3)])  # as a schedule leaves it
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    fastai.save_model(folder / "lm.pth", model, optimizer, with_opt=nested)
    fastai.save_pickle(folder / "itos.pkl", words)
    return model, words, (folder / "lm.pth", folder / "itos.pkl")


def our_logits(artifact: Artifact, ids: np.ndarray) -> np.ndarray:
    network = language_model_definition(artifact.architecture).bind(artifact.parameters)
    outputs, _ = network.encoder(ids[:, None], initial_state(artifact.architecture, 1))
    return np.asarray(logits(outputs, network.encoder.embedding[...], network.decoder.bias[...])[:, 0])


@pytest.mark.parametrize("nested", [True, False], ids=["with optimizer", "weights alone"])
def test_scores_of_a_text_are_fastais(tmp_path: Path, nested: bool) -> None:
    model, words, files = saved(tmp_path, nested=nested)
    artifact = import_fastai(*files)
    tokens = list(fastai.tokenize1(TEXT, fastai.WordTokenizer("en")))
    theirs = torch.tensor([[words.index(token) for token in tokens]])
    ids = artifact.tokenizer.encode(TEXT)
    np.testing.assert_array_equal(ids, theirs[0])
    with torch.no_grad():
        expected = model(theirs)[0][0].numpy()
    np.testing.assert_allclose(our_logits(artifact, ids), expected, atol=1e-4)


def test_an_encoder_that_save_encoder_has_written(tmp_path: Path) -> None:
    model, _, (weights, vocabulary) = saved(tmp_path)
    whole = import_fastai(weights, vocabulary)
    torch.save(model[0].state_dict(), tmp_path / "encoder.pth")
    encoder = import_fastai(tmp_path / "encoder.pth", vocabulary)
    assert encoder.kind == "encoder"
    jax.tree.map(np.testing.assert_array_equal, encoder.parameters["encoder"], whole.parameters["encoder"])


def test_a_vocabulary_in_fastcores_own_list(tmp_path: Path) -> None:
    _, words, (weights, vocabulary) = saved(tmp_path)
    vocabulary.write_bytes(pickle.dumps(fastai.L(words)))
    assert list(import_fastai(weights, vocabulary).tokenizer.vocabulary.tokens) == words
