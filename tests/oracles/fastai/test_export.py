"""Files written here, loaded by fastai itself: the answers on real text stay the same."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from oracles.fastai.networks import drawn
from oracles.fastai.reference import fastai, torch

pytest.importorskip("spacy")

from ulmfit_jax import TextClassifier
from ulmfit_jax.artifact import Artifact, save_artifact
from ulmfit_jax.interop import export_fastai
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.awd_lstm import initial_state
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.parameters import to_numpy
from ulmfit_jax.nn.softmax import logits
from ulmfit_jax.text import SpacyTokenizer
from ulmfit_jax.training.classifier import classifier_definition
from ulmfit_jax.training.language_model import language_model_definition

SIZES = {"emb_sz": 12, "n_hid": 16, "n_layers": 3}
HEAD = Head(3, (10, 7), (0.1, 0.2))


@pytest.fixture(scope="module")
def texts(data_dir: Path) -> list[str]:
    """Some short reviews and a long one."""
    path = data_dir / "cls-de-books" / "train.jsonl"
    if not path.is_file():
        pytest.skip(f"no German reviews at {path}")
    found = [json.loads(line)["text"] for line in path.read_text("utf-8").splitlines()[:60]]
    return [*sorted(found, key=len)[:6], " ".join(found[:14])]


@pytest.fixture(scope="module")
def tokenizer(texts: list[str]) -> SpacyTokenizer:
    return SpacyTokenizer.train(texts, min_freq=2, language="de")


@pytest.fixture(scope="module")
def sizes(tokenizer: SpacyTokenizer) -> Architecture:
    return Architecture(len(tokenizer.vocabulary), SIZES["emb_sz"], SIZES["n_hid"], SIZES["n_layers"])


@pytest.fixture(scope="module")
def language_model(tokenizer: SpacyTokenizer, sizes: Architecture) -> Artifact:
    parameters, _ = drawn(language_model_definition(sizes))
    return Artifact("language_model", sizes, tokenizer, to_numpy(parameters))


def ids_by_fastai(text: str, vocabulary: Path) -> torch.Tensor:
    """The ids `[1, tokens]` that fastai gives to a text with the exported vocabulary."""
    numericalize = fastai.Numericalize(fastai.load_pickle(vocabulary))
    return torch.as_tensor(numericalize(fastai.tokenize1(text, fastai.WordTokenizer("de"))))[None]


def fastai_language_model(vocabulary_size: int) -> torch.nn.Module:
    return fastai.get_language_model(fastai.AWD_LSTM, vocabulary_size, {**fastai.awd_lstm_lm_config, **SIZES})


def test_a_language_model(language_model: Artifact, texts: list[str], tmp_path: Path) -> None:
    weights, vocabulary = export_fastai(language_model, tmp_path / "lm.pth")
    model = fastai_language_model(language_model.architecture.vocabulary_size)
    state = torch.load(weights)
    assert list(state) == list(model.state_dict())  # fastai's load_pretrained goes by the order
    model.load_state_dict(state, strict=True)
    network = language_model_definition(language_model.architecture).bind(language_model.parameters)
    theirs = ids_by_fastai(texts[0], vocabulary)
    ids = language_model.tokenizer.encode(texts[0])
    np.testing.assert_array_equal(ids, theirs[0])
    with torch.no_grad():
        expected = model.eval()(theirs)[0][0].numpy()
    outputs, _ = network.encoder(ids[:, None], initial_state(language_model.architecture, 1))
    ours = logits(outputs, network.encoder.embedding[...], network.decoder.bias[...])[:, 0]
    np.testing.assert_allclose(np.asarray(ours), expected, atol=1e-4)


def test_a_classifier(tokenizer: SpacyTokenizer, sizes: Architecture, texts: list[str], tmp_path: Path) -> None:
    parameters, statistics = drawn(classifier_definition(sizes, HEAD))
    artifact = Artifact(
        "classifier", sizes, tokenizer, to_numpy(parameters), to_numpy(statistics), ("bad", "fair", "good"), HEAD
    )
    weights, vocabulary, _ = export_fastai(artifact, tmp_path / "classifier.pth")
    model = fastai.get_text_classifier(
        fastai.AWD_LSTM,
        len(tokenizer),
        HEAD.n_classes,
        config=SIZES,
        lin_ftrs=list(HEAD.hidden),
        ps=list(HEAD.dropouts),
    )
    state = torch.load(weights)
    assert list(state) == list(model.state_dict())
    model.load_state_dict(state, strict=True)
    save_artifact(artifact, tmp_path / "model")
    ours = TextClassifier.load(tmp_path / "model").predict_proba(texts)
    with torch.no_grad():
        scores = [model.eval()(ids_by_fastai(text, vocabulary))[0][0] for text in texts]
    assert len(artifact.tokenizer.encode(texts[-1])) > 1440
    np.testing.assert_allclose(ours, torch.stack(scores).softmax(dim=1), atol=1e-5)
    assert np.ptp(ours, axis=0).max() > 1e-3  # the texts do not all get the same answer


def test_learn_load_encoder(language_model: Artifact, texts: list[str], tmp_path: Path) -> None:
    weights, vocabulary = export_fastai(language_model, tmp_path / "models" / "encoder.pth", encoder_only=True)
    words = fastai.load_pickle(vocabulary)
    table = fastai.pd.DataFrame({"text": texts, "label": [0, 1, 0, 1, 0, 1, 0]})
    block = fastai.DataBlock(
        (
            fastai.TextBlock.from_df("text", vocab=words, tok=fastai.WordTokenizer("de"), n_workers=0),
            fastai.CategoryBlock,
        ),
        get_x=fastai.ColReader("text"),
        get_y=fastai.ColReader("label"),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas and torch about fastai's loaders
        loaders = block.dataloaders(table, bs=2, num_workers=0)
        learner = fastai.text_classifier_learner(
            loaders, fastai.AWD_LSTM, pretrained=False, config={**fastai.awd_lstm_clas_config, **SIZES}, path=tmp_path
        )
        learner.load_encoder(weights.stem)
    loaded = learner.model[0].module
    embedding = language_model.parameters["encoder"]["embedding"]
    np.testing.assert_array_equal(loaded.encoder.weight.detach().numpy(), embedding)
    kernel = language_model.parameters["encoder"]["lstm_1"]["recurrent_kernel"]
    np.testing.assert_array_equal(loaded.rnns[1].weight_hh_l0_raw.detach().numpy(), kernel.T)


def test_load_pretrained_goes_by_words(language_model: Artifact, tmp_path: Path) -> None:
    """fastai moves the weights to another vocabulary by the words of the exported list."""
    weights, vocabulary = export_fastai(language_model, tmp_path / "lm.pth")
    words = fastai.load_pickle(vocabulary)
    others = [*words[:9], *reversed(words[9:]), "unheard"]
    state = fastai.match_embeds(torch.load(weights), words, others)
    model = fastai_language_model(len(others))
    fastai.load_ignore_keys(model, fastai.clean_raw_keys(state))
    embedding = language_model.parameters["encoder"]["embedding"]
    moved = model[0].encoder.weight.detach().numpy()
    row = words.index("und")
    np.testing.assert_array_equal(moved[others.index("und")], embedding[row])
    np.testing.assert_array_equal(model[1].decoder.weight.detach().numpy(), moved)
    bias = language_model.parameters["decoder"]["bias"]
    np.testing.assert_array_equal(model[1].decoder.bias.detach().numpy()[others.index("und")], bias[row])
