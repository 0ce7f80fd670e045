"""fastai's side of each stage: its own model, learner, callbacks and tokeniser."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from data import BATCH_SIZE, BPTT, batches, full_size, reviews, stream
from timing import Work
from ulmfit_jax.data.batches import DocumentBatch
from ulmfit_jax.nn.architecture import Architecture

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from fastai.text import all as fastai

TorchBatch = tuple[torch.Tensor, torch.Tensor]


class Batches:
    """A loader that makes its batches anew each time it is iterated."""

    def __init__(self, length: int, make: Callable[[], Iterable[TorchBatch]]) -> None:
        self._length, self._make = length, make

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[TorchBatch]:
        return iter(self._make())


def tokenisation(data_dir: Path, count: int) -> Work:
    """Documents to ids: spaCy on two processes with fastai's rules, then the vocabulary."""
    texts, _ = reviews(data_dir, count)

    def tokens() -> list[Any]:
        found = fastai.parallel_tokenize(
            texts, tok=fastai.WordTokenizer(), rules=fastai.defaults.text_proc_rules, n_workers=2
        )
        return [words for _, words in sorted(found, key=lambda item: item[0])]

    numericalise = fastai.Numericalize(fastai.make_vocab(fastai.Counter(word for text in tokens() for word in text)))

    def work() -> float:
        return len([numericalise(words) for words in tokens()])

    return work


def language_model(vocabulary: int, steps: int) -> Work:
    """Training steps of `language_model_learner`'s model with its callbacks."""
    source = stream(vocabulary, steps)
    config = fastai.awd_lstm_lm_config | _sizes(full_size(vocabulary))
    model = fastai.get_language_model(fastai.AWD_LSTM, vocabulary, config)
    loader = Batches(source.batches_per_epoch, lambda: (_stream_batch(*batch) for batch in source.epoch(0)))
    learner = _learner(loader, model, fastai.awd_lstm_lm_split)
    return _epoch(learner, 0, 0.1, BATCH_SIZE * BPTT * steps)


def classifier(data_dir: Path, count: int, freeze_to: int, cache_frozen: bool = False) -> Work:
    """An epoch of `text_classifier_learner`'s model over these reviews, always through the encoder."""
    train, vocabulary = batches(data_dir, count)
    loader = Batches(train.batches_per_epoch, lambda: map(_document_batch, train.training_epoch(0)))
    learner = _learner(loader, _classifier(vocabulary), fastai.awd_lstm_clas_split)
    return _epoch(learner, freeze_to, 0.01, train.batches_per_epoch * BATCH_SIZE)


def prediction(data_dir: Path, count: int) -> Work:
    """`get_preds` over these reviews."""
    documents, vocabulary = batches(data_dir, count)
    loader = Batches(documents.evaluation_batches, lambda: map(_document_batch, documents.evaluation()))
    learner = _learner(loader, _classifier(vocabulary), fastai.awd_lstm_clas_split)

    def work() -> float:
        with learner.no_bar(), learner.no_logging():
            return len(learner.get_preds(dl=loader)[0])

    return work


def _sizes(sizes: Architecture) -> dict[str, int]:
    return {"emb_sz": sizes.embedding_size, "n_hid": sizes.hidden_size, "n_layers": sizes.n_layers}


def _classifier(vocabulary: int) -> torch.nn.Module:
    config = fastai.awd_lstm_clas_config | _sizes(full_size(vocabulary))
    return fastai.get_text_classifier(fastai.AWD_LSTM, vocabulary, 2, seq_len=BPTT, config=config, drop_mult=0.5)


def _learner(loader: Batches, model: torch.nn.Module, splitter: Any) -> Any:
    return fastai.TextLearner(
        fastai.DataLoaders(loader, []),
        model,
        loss_func=fastai.CrossEntropyLossFlat(),
        splitter=splitter,
        default_cbs=False,
        cbs=[fastai.TrainEvalCallback(), fastai.Recorder(add_time=False, train_metrics=False)],
    )


def _epoch(learner: Any, freeze_to: int, weight_decay: float, units: float) -> Work:
    learner.freeze_to(freeze_to)

    def work() -> float:
        with learner.no_bar(), learner.no_logging():
            learner.fit(1, 1e-3, wd=weight_decay)
        return units

    return work


def _stream_batch(inputs: np.ndarray, targets: np.ndarray) -> TorchBatch:
    return torch.from_numpy(inputs.T.astype(np.int64)), torch.from_numpy(targets.T.astype(np.int64))


def _document_batch(batch: DocumentBatch) -> TorchBatch:
    """Documents as fastai pads them, to the length of the longest."""
    documents = [torch.from_numpy(batch.read(int(row)).astype(np.int64)) for row in np.flatnonzero(batch.lengths)]
    padded = [fastai.pad_chunk(ids, pad_idx=1, seq_len=BPTT, pad_len=len(documents[0])) for ids in documents]
    return torch.stack(padded), torch.from_numpy(batch.labels[: len(documents)].astype(np.int64))
