"""What the tasks measure, against twins that read one document or one row of text at a time."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from tiny_runs import BPTT, documents

from oracles.cross_entropy import tied_cross_entropy
from oracles.documents import document_vector, encode, probabilities
from ulmfit_jax.data.batches import DocumentBatches
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.data.stream import LanguageModelStream
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.awd_lstm import AwdLstm
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.parameters import ModuleDefinition
from ulmfit_jax.nn.softmax import TokenScores
from ulmfit_jax.text.rules import BOS_ID
from ulmfit_jax.training.classifier import ClassifierTask
from ulmfit_jax.training.document_scores import Reading, vector_pass
from ulmfit_jax.training.language_model import LanguageModelTask, stream_scores
from ulmfit_jax.training.mapping import Devices

SIZES = Architecture(vocabulary_size=24, embedding_size=3, hidden_size=4, n_layers=1)
ENCODER = ModuleDefinition(lambda rngs: AwdLstm(SIZES, rngs=rngs))


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


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("devices", [1, 4])
def test_a_classifier_answers_in_the_order_of_the_corpus(devices: int, backwards: bool) -> None:
    """Documents of many lengths, some of which begin and end within a block: spread over lanes and devices."""
    corpus, labels = documents(40, 3 * BPTT, seed=4)
    batches = DocumentBatches(corpus, labels, 4, BPTT, backwards)
    task = ClassifierTask(SIZES, Head(2, (6,)), batches, batches, Devices(devices), max_length=2 * BPTT)
    parameters, statistics = task.definition.initialise(0)
    texts = [text[::-1] if backwards else text for text in corpus]
    expected = np.array([probabilities(parameters, statistics, text, BPTT, 2 * BPTT) for text in texts])
    found = task.scoring(parameters, statistics, corpus)
    np.testing.assert_allclose(np.exp(found), expected, atol=1e-5)
    measured = task.evaluate(parameters, statistics)
    assert measured["valid_loss"] == pytest.approx(-np.log(expected[np.arange(40), labels]).mean(), rel=1e-4)
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

    def block_until_ready(self) -> None:
        np.asarray(self)


def test_more_documents_end_in_a_block_than_there_are_lanes() -> None:
    """Documents of one token, and empty ones, which are read as one."""
    corpus = Corpus.from_arrays([np.array([9 + number % 9][: number % 3], np.int32) for number in range(300)])
    reading = vector_pass(SIZES, np.float32, Devices(1), Reading(BPTT))
    assert reading.lanes(corpus).blocks < 300 / reading.lanes(corpus).lanes
    encoder = ENCODER.initialise(0)[0]
    vectors = reading({"encoder": encoder}, {}, corpus)
    texts = [text if len(text) else [BOS_ID] for text in corpus]
    np.testing.assert_allclose(vectors, [document_vector(encoder, text, BPTT) for text in texts], atol=1e-5)


@pytest.mark.parametrize("nothing", [None, Corpus.from_arrays([])])
def test_of_no_documents_there_are_no_vectors(nothing: Corpus | None) -> None:
    found = vector_pass(SIZES, np.float32, Devices(1), Reading(BPTT))(
        {"encoder": ENCODER.initialise(0)[0]}, {}, nothing
    )
    assert found.shape == (0, 9)


def test_few_steps_are_under_way_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices that share a CPU's threads wait for each other for ever with more than 32 steps under way."""
    corpus, long = documents(100, 2 * BPTT)[0], documents(4, 40 * BPTT)[0]

    def stream_step(parameters: Any, inputs: Any, targets: Any, carry: Any) -> Any:
        return TokenScores(InFlight(2.0), np.int32(1), np.int32(4)), carry

    def encode(parameters: Any, statistics: Any, block: Any, carry: Any) -> Any:
        return InFlight(0.0), carry

    def read(parameters: Any, statistics: Any, vectors: Any, places: Any) -> Any:
        return np.zeros((*places.shape, 9), np.float32)

    for devices in (Devices(1), Devices(4)):
        monkeypatch.setattr(InFlight, "unread", 0)
        monkeypatch.setattr(InFlight, "most", 0)
        stream = LanguageModelStream(corpus, 4, 2)
        totals = stream_scores(stream_step, {}, stream, SIZES, devices)
        assert totals == (2.0 * stream.batches_per_epoch, stream.batches_per_epoch, 4 * stream.batches_per_epoch)
        assert stream.batches_per_epoch > 32
        reading = vector_pass(SIZES, np.float32, devices, Reading(BPTT))
        monkeypatch.setattr(reading, "encode", encode)
        monkeypatch.setattr(reading, "read", read)
        assert reading.lanes(long).blocks > 32
        reading({}, {}, long)
        assert (InFlight.unread, InFlight.most <= 3) == (0, True)


class Queued:
    """Stands for a result that is computed after those before it; counts those that nobody has waited for."""

    queue: list[Queued] = []  # noqa: RUF012 - each test empties it
    most = 0

    def __init__(self, value: Any):
        self._value = value
        Queued.queue.append(self)
        Queued.most = max(Queued.most, len(Queued.queue))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        self.block_until_ready()
        return np.asarray(self._value, dtype)

    def block_until_ready(self) -> None:
        if self in Queued.queue:
            del Queued.queue[: Queued.queue.index(self) + 1]


def test_many_documents_that_end_in_one_block_are_few_steps_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A document of one token ends in every step of every lane."""
    corpus = Corpus.from_arrays([np.array([9], np.int32)] * 20_000)
    for devices in (Devices(1), Devices(4)):
        Queued.queue.clear()
        monkeypatch.setattr(Queued, "most", 0)
        reading = vector_pass(SIZES, np.float32, devices, Reading(72))
        reads: list[int] = []

        def read(*_: Any, found: list[int] = reads) -> Any:
            found.append(1)
            return Queued(np.zeros((_[-1].shape[0] * _[-1].shape[1], 9), np.float32))

        monkeypatch.setattr(reading, "encode", lambda *given: (Queued(0.0), given[-1]))
        monkeypatch.setattr(reading, "read", read)
        monkeypatch.setattr(Devices, "join_rows", staticmethod(lambda array, axis: array))
        reading({}, {}, corpus)
        assert len(reads) > 64
        assert Queued.most <= 32
        assert not Queued.queue
