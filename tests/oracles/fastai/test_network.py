"""The AWD-LSTM and its tied softmax against fastai's, dropout off."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import numpy as np
import pytest

from oracles.fastai.learners import learner, stream_batch
from oracles.fastai.networks import BPTT, LANGUAGE_MODEL, SIZES, drawn, fastai_language_model
from oracles.fastai.reference import fastai, torch
from oracles.fastai.weights import parameters_of
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.data.stream import LanguageModelStream
from ulmfit_jax.nn.awd_lstm import EncoderState, initial_state
from ulmfit_jax.nn.parameters import Tree, flatten
from ulmfit_jax.nn.softmax import logits
from ulmfit_jax.training.language_model import LanguageModelTask
from ulmfit_jax.training.mapping import Devices

ROWS = 4
close = partial(np.testing.assert_allclose, rtol=1e-5, atol=2e-6)


@pytest.fixture(scope="module")
def parameters() -> Tree:
    return drawn(LANGUAGE_MODEL)[0]


def documents(tokens: int) -> list[np.ndarray]:
    """Documents that have so many tokens together."""
    drawn_tokens = np.random.default_rng(3).integers(2, SIZES.vocabulary_size, tokens).astype(np.int32)
    return np.split(drawn_tokens, [7, 8, 30, 59, 90])


@jax.jit
def encoded(parameters: Tree, tokens: jax.Array, state: EncoderState) -> tuple[Any, ...]:
    """Outputs, state after them, and the scores of every and of the last position."""
    network = LANGUAGE_MODEL.bind(parameters)
    outputs, after = network.encoder(tokens, state)
    scores = logits(outputs, parameters["encoder"]["embedding"], parameters["decoder"]["bias"])
    return outputs, after, scores, network.next_token_logits(tokens, state)[0]


@pytest.mark.parametrize("backwards", [False, True])
def test_outputs_states_and_scores_are_fastai_s_batch_after_batch(parameters: Tree, backwards: bool) -> None:
    texts = documents(ROWS * 29 + 1)
    stream = LanguageModelStream(Corpus.from_arrays(texts), ROWS, BPTT, backwards=backwards)
    reference = fastai_language_model(parameters).eval()
    state = initial_state(SIZES, ROWS)
    tensors = [torch.from_numpy(document.astype(np.int64)) for document in texts]
    joined = torch.cat([fastai.reverse_text(tensor) for tensor in tensors] if backwards else tensors)
    windows = joined[: ROWS * 29].view(ROWS, -1).split(BPTT, dim=1)
    assert [window.shape[1] for window in windows] == [8, 8, 8, 5]
    for (inputs, _), window in zip(stream.epoch(), windows, strict=True):
        outputs, state, scores, following = encoded(parameters, inputs, state)
        with torch.no_grad():
            expected_scores, expected_outputs, _ = reference(window)
        close(outputs, expected_outputs.transpose(0, 1))
        close(scores, expected_scores.transpose(0, 1))
        close(following, expected_scores[:, -1])
        for layer, (hidden, cell) in zip(state, reference[0].hidden, strict=True):
            close(layer.hidden, hidden[0])
            close(layer.cell, cell[0])


def evaluated(parameters: Tree, row_length: int) -> tuple[dict[str, float], list[float], list[np.ndarray]]:
    """Our measures, fastai's (loss, accuracy, perplexity) and the loss of each token by batch, on one stream."""
    corpus = Corpus.from_arrays(documents(ROWS * row_length + 1))
    stream = LanguageModelStream(corpus, ROWS, BPTT)
    ours = LanguageModelTask(SIZES, stream, stream, Devices(1)).evaluate(parameters, {})
    batches = [stream_batch(*batch) for batch in stream.epoch()]
    made = learner(fastai_language_model(parameters), [], batches, metrics=[fastai.accuracy, fastai.Perplexity()])
    losses = []
    for tokens, targets in batches:
        scores = made.model.eval()(tokens)[0].detach().log_softmax(dim=-1)
        losses.append(-scores.gather(2, targets[..., None]).numpy())
    return ours, list(made.validate()), losses


def test_loss_accuracy_and_perplexity_are_fastai_s_over_batches_of_one_length(parameters: Tree) -> None:
    ours, (loss, accuracy, perplexity), _ = evaluated(parameters, 3 * BPTT)
    assert ours["valid_loss"] == pytest.approx(loss, rel=1e-5)
    assert ours["perplexity"] == pytest.approx(perplexity, rel=1e-5)
    assert ours["accuracy"] == pytest.approx(accuracy, rel=1e-5)
    assert 0 < ours["accuracy"] < 1


def test_every_token_counts_once_where_fastai_counts_those_of_a_short_batch_more(parameters: Tree) -> None:
    """Intended difference 1."""
    ours, (loss, _, perplexity), losses = evaluated(parameters, 3 * BPTT + 1)
    by_token = np.concatenate([batch.ravel() for batch in losses]).mean()
    by_batch = np.mean([batch.mean() for batch in losses])
    assert abs(by_token - by_batch) > 1e-3
    assert ours["valid_loss"] == pytest.approx(by_token, rel=1e-5)
    assert ours["perplexity"] == pytest.approx(np.exp(by_token), rel=1e-5)
    assert loss == pytest.approx(by_batch, rel=1e-5)
    assert perplexity == pytest.approx(np.exp(by_batch), rel=1e-5)


def test_parameters_return_from_fastai_as_they_went(parameters: Tree) -> None:
    returned = flatten(parameters_of(fastai_language_model(parameters)))
    for path, array in flatten(parameters).items():
        np.testing.assert_array_equal(returned[path], array, err_msg=path)
