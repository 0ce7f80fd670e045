"""The shipped language model and a classifier over its encoder against fastai, on 100 real reviews."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from oracles.fastai.learners import stream_batch
from oracles.fastai.reference import fastai, torch
from oracles.fastai.weights import load
from ulmfit_jax import LanguageModel
from ulmfit_jax.artifact import Artifact
from ulmfit_jax.data import LanguageModelStream, corpus_in_memory, read_dataset
from ulmfit_jax.inference.encode import DocumentEncoder
from ulmfit_jax.inference.predict import Predictor
from ulmfit_jax.nn.awd_lstm import EncoderState, initial_state
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.parameters import to_numpy
from ulmfit_jax.nn.softmax import logits
from ulmfit_jax.training.classifier import classifier_definition
from ulmfit_jax.training.language_model import language_model_definition
from ulmfit_jax.training.mapping import Devices

HEAD = Head(2)


@pytest.fixture(scope="module")
def reviews(data_dir: Path) -> list[str]:
    """100 of the first 1,000 reviews of IMDb: the shortest ones, as torch takes a document at a time, and the two
    longest, which have more tokens than are pooled."""
    if not (data_dir / "tensorflow_datasets" / "imdb_reviews").is_dir():
        pytest.skip(f"no IMDb reviews in {data_dir}")
    by_length = sorted(read_dataset("tfds:imdb_reviews:train", data_dir=data_dir).texts[:1000], key=len)
    return [*by_length[:98], *by_length[-2:]]


@pytest.fixture(scope="module")
def model() -> Artifact:
    return LanguageModel.load("wikipedia-small-forward").artifact


def encoder_sizes(model: Artifact) -> dict[str, int]:
    sizes = model.architecture
    return {"emb_sz": sizes.embedding_size, "n_hid": sizes.hidden_size, "n_layers": sizes.n_layers}


@pytest.mark.slow
def test_logits_and_perplexity(model: Artifact, reviews: list[str]) -> None:
    config = {**fastai.awd_lstm_lm_config, **encoder_sizes(model)}
    reference = fastai.get_language_model(fastai.AWD_LSTM, model.architecture.vocabulary_size, config).eval()
    load(reference, model.parameters)
    network = language_model_definition(model.architecture).bind(model.parameters)

    @jax.jit
    def scores(tokens: jax.Array, state: EncoderState) -> tuple[jax.Array, EncoderState]:
        outputs, state = network.encoder(tokens, state)
        return logits(outputs, network.encoder.embedding[...], network.decoder.bias[...]), state

    stream = LanguageModelStream(corpus_in_memory(reviews, model.tokenizer), 8, 72)
    state, loss = initial_state(model.architecture, 8), 0.0
    for inputs, targets in stream.epoch():
        ours, state = scores(inputs, state)
        tokens, following = stream_batch(inputs, targets)
        with torch.no_grad():
            theirs = reference(tokens)[0]
        assert np.abs(np.asarray(ours) - theirs.transpose(0, 1).numpy()).max() <= 1e-4
        loss += torch.nn.functional.cross_entropy(theirs.flatten(0, 1), following.flatten(), reduction="sum").item()
    expected = np.exp(loss / stream.tokens_per_epoch)
    assert stream.tokens_per_epoch > 12_000
    carried = replace(model, settings={**model.settings, "reset_state": False})  # as fastai reads a stream
    assert LanguageModel.from_artifact(carried, "shipped").perplexity(reviews) == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_probabilities(model: Artifact, reviews: list[str]) -> None:
    definition = classifier_definition(model.architecture, HEAD)
    parameters, statistics = map(to_numpy, definition.initialise(1))
    parameters["encoder"] = model.parameters["encoder"]
    corpus = corpus_in_memory(reviews, model.tokenizer)
    # Running statistics such as a training on these reviews would leave, so that the answers differ.
    features = DocumentEncoder(model, Devices(1)).vectors(corpus.select(np.flatnonzero(corpus.lengths < 300)[:64]))
    statistics["head"]["norm_0"] = {"mean": features.mean(axis=0), "variance": features.var(axis=0)}
    artifact = Artifact("classifier", model.architecture, model.tokenizer, parameters, statistics, ("neg", "pos"), HEAD)
    ours = np.exp(Predictor(artifact, Devices(1)).log_probabilities(corpus))

    reference = fastai.get_text_classifier(
        fastai.AWD_LSTM, model.architecture.vocabulary_size, 2, config=encoder_sizes(model), lin_ftrs=[50], ps=[0.1]
    ).eval()
    load(reference, parameters, statistics)
    with torch.no_grad():
        scores = [reference(torch.from_numpy(ids.astype(np.int64))[None])[0][0] for ids in corpus]
    np.testing.assert_allclose(ours, torch.stack(scores).softmax(dim=1), atol=1e-5, rtol=0)
    assert np.ptp(ours[:, 0]) > 0.1
