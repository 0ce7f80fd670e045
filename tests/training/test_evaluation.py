"""What the tasks measure, against twins that read one document or one row of text at a time."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from tiny_runs import BPTT, documents

from oracles.cross_entropy import tied_cross_entropy
from oracles.documents import encode, probabilities
from ulmfit_jax.data.batches import DocumentBatches
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.data.stream import LanguageModelStream
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.softmax import TokenScores
from ulmfit_jax.training.classifier import ClassifierTask
from ulmfit_jax.training.document_scores import document_values, scoring_step
from ulmfit_jax.training.language_model import LanguageModelTask, stream_scores
from ulmfit_jax.training.mapping import Devices

SIZES = Architecture(vocabulary_size=24, embedding_size=3, hidden_size=4, n_layers=1)


@pytest.mark.parametrize("devices", [1, 4])
def test_a_language_model_is_measured_over_every_token_once(devices: int) -> None:
    """Rows of 21 tokens in steps of 8: the last batch is shorter and counts less."""
    corpus = documents(20, 20, seed=3)[0]
    text = np.concatenate(list(corpus)).astype(np.int32)[: 4 * 21 + 1]
    stream = LanguageModelStream(Corpus.from_arrays([text]), 4, BPTT)
    task = LanguageModelTask(SIZES, stream, stream, Devices(devices))
    parameters, _ = task.definition.initialise(0)
    parameters = jax.tree.map(lambda leaf: 3 * leaf, parameters)
    measured = task.evaluate(parameters, {})
    outputs = np.concatenate([encode(parameters["encoder"], text[21 * row : 21 * row + 21]) for row in range(4)])
    embedding, bias = np.asarray(parameters["encoder"]["embedding"], np.float64), np.zeros(24)
    loss = tied_cross_entropy(outputs, embedding, bias, text[1:])[0]
    assert measured["valid_loss"] == pytest.approx(loss, rel=1e-5)
    assert measured["perplexity"] == pytest.approx(np.exp(loss), rel=1e-5)
    assert measured["accuracy"] == pytest.approx(((outputs @ embedding.T).argmax(axis=1) == text[1:]).mean())


@pytest.mark.parametrize("backwards", [False, True])
def test_documents_are_measured_from_the_zero_state(backwards: bool) -> None:
    """One row, in steps of 8 that cut documents anywhere: as if each document were read alone."""
    corpus = documents(9, 20, seed=5)[0]
    stream = LanguageModelStream(corpus, 1, BPTT, backwards=backwards)
    task = LanguageModelTask(SIZES, stream, stream, Devices(1), reset_state=True)
    parameters, _ = task.definition.initialise(0)
    parameters["encoder"] = jax.tree.map(lambda leaf: 8 * leaf, parameters["encoder"])
    parameters["encoder"]["embedding"] *= 4
    read = [text[::-1] if backwards else text for text in corpus]
    outputs = np.concatenate([encode(parameters["encoder"], text) for text in read])[:-1]
    embedding, bias = np.asarray(parameters["encoder"]["embedding"], np.float64), np.zeros(24)
    loss = tied_cross_entropy(outputs, embedding, bias, np.concatenate(read)[1:])[0]
    assert task.evaluate(parameters, {})["valid_loss"] == pytest.approx(loss, rel=1e-5)
    carried = LanguageModelTask(SIZES, stream, stream, Devices(1))
    assert carried.evaluate(parameters, {})["valid_loss"] != pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize("devices", [1, 4])
def test_a_classifier_answers_in_the_order_of_the_corpus(devices: int) -> None:
    """11 documents of other lengths in batches of 4: sorted, split over devices and filled up on the way."""
    corpus, labels = documents(11, 3 * BPTT, seed=4)
    batches = DocumentBatches(corpus, labels, 4, BPTT)
    task = ClassifierTask(SIZES, Head(2, (6,)), batches, batches, Devices(devices), max_length=2 * BPTT)
    parameters, statistics = task.definition.initialise(0)
    expected = np.array([probabilities(parameters, statistics, text, BPTT, 2 * BPTT) for text in corpus])
    step = scoring_step(task.definition, Devices(devices), 2 * BPTT)
    found = document_values(step, parameters, statistics, batches, 2, Devices(devices))
    np.testing.assert_allclose(np.exp(found), expected, atol=1e-5)
    measured = task.evaluate(parameters, statistics)
    assert measured["valid_loss"] == pytest.approx(-np.log(expected[np.arange(11), labels]).mean(), rel=1e-4)
    assert measured["error_rate"] == pytest.approx((expected.argmax(axis=1) != labels).mean())


class InFlight:
    """Stands for a result that is computed when it is read; counts those that nobody has read."""

    unread = most = 0

    def __init__(self, value: Any):
        self._value, self._read = value, False
        InFlight.unread += 1
        InFlight.most = max(InFlight.most, InFlight.unread)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        InFlight.unread -= not self._read
        self._read = True
        return np.asarray(self._value, dtype)

    def __float__(self) -> float:
        return float(np.asarray(self))


def test_few_steps_are_under_way_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices that share a CPU's threads wait for each other for ever with more than 32 steps under way."""
    corpus, labels = documents(100, 2 * BPTT)

    def stream_step(parameters: Any, inputs: Any, targets: Any, carry: Any) -> Any:
        return TokenScores(InFlight(2.0), np.int32(1), np.int32(4)), carry

    def document_step(parameters: Any, statistics: Any, tokens: Any, lengths: Any) -> Any:
        return InFlight(np.zeros((*lengths.shape, 2), np.float32))

    for devices in (Devices(1), Devices(4)):
        monkeypatch.setattr(InFlight, "unread", 0)
        monkeypatch.setattr(InFlight, "most", 0)
        stream = LanguageModelStream(corpus, 4, 2)
        totals = stream_scores(stream_step, {}, stream, SIZES, devices)
        assert totals == (2.0 * stream.batches_per_epoch, stream.batches_per_epoch, 4 * stream.batches_per_epoch)
        assert stream.batches_per_epoch > 32
        document_values(document_step, {}, {}, DocumentBatches(corpus, labels, 4, BPTT), 2, devices)
        assert (InFlight.unread, InFlight.most <= 3) == (0, True)
