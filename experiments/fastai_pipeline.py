"""The reference notebook's stages by fastai itself, on token arrays and in the order of batches that it is given.

Used by `against_fastai.py`; needs torch and fastai (`make oracle`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from fastai.text import all as fastai

from ulmfit_jax.artifact import Artifact
from ulmfit_jax.data import DocumentBatches, LanguageModelStream
from ulmfit_jax.data.batches import DocumentBatch
from ulmfit_jax.interop import fastai_state
from ulmfit_jax.training.stages import Stage

Row = dict[str, Any]
TorchBatch = tuple[torch.Tensor, torch.Tensor]


class Epochs:
    """A loader that gives the batches of epoch 0, 1, 2, … each time it is iterated."""

    def __init__(self, length: int, epoch: Callable[[int], Iterable[TorchBatch]]) -> None:
        self._length, self._epoch, self._number = length, epoch, -1

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[TorchBatch]:
        self._number += 1
        return iter(self._epoch(self._number))


def train_language_model(
    start: Artifact, train: LanguageModelStream, valid: LanguageModelStream, stages: Sequence[Stage], drop_mult: float
) -> tuple[dict[str, torch.Tensor], list[Row]]:
    """fastai's language model from the weights of `start`: its state afterwards, and a row for each epoch."""
    config = fastai.awd_lstm_lm_config | _sizes(start)
    model = fastai.get_language_model(fastai.AWD_LSTM, start.architecture.vocabulary_size, config, drop_mult)
    _load(model, start)
    loaders = fastai.DataLoaders(
        Epochs(train.batches_per_epoch, lambda epoch: map(_stream_batch, *zip(*train.epoch(epoch), strict=True))),
        Epochs(valid.batches_per_epoch, lambda _: map(_stream_batch, *zip(*valid.epoch(0), strict=True))),
    )
    rows = _fit(loaders, model, stages, fastai.awd_lstm_lm_split, "accuracy", fastai.accuracy)
    return model.state_dict(), rows


def train_classifier(
    start: Artifact,
    language_model: dict[str, torch.Tensor],
    train: DocumentBatches,
    valid: DocumentBatches,
    stages: Sequence[Stage],
) -> list[Row]:
    """fastai's classifier with the head of `start` on the encoder of fastai's own language model."""
    model = fastai.get_text_classifier(
        fastai.AWD_LSTM,
        start.architecture.vocabulary_size,
        len(start.labels),
        seq_len=train.bptt,
        config=fastai.awd_lstm_clas_config | _sizes(start),
        drop_mult=0.5,
    )
    _load(model, start)
    encoder = {name.removeprefix("0."): value for name, value in language_model.items() if name.startswith("0.")}
    model[0].module.load_state_dict(encoder)
    loaders = fastai.DataLoaders(
        Epochs(train.batches_per_epoch, lambda epoch: map(_document_batch, train.training_epoch(epoch))),
        Epochs(valid.evaluation_batches, lambda _: map(_document_batch, valid.evaluation())),
    )
    return _fit(loaders, model, stages, fastai.awd_lstm_clas_split, "error_rate", fastai.error_rate)


def _sizes(start: Artifact) -> dict[str, int]:
    sizes = start.architecture
    return {"emb_sz": sizes.embedding_size, "n_hid": sizes.hidden_size, "n_layers": sizes.n_layers}


def _load(model: torch.nn.Module, start: Artifact) -> None:
    state = {name: torch.from_numpy(np.array(array)) for name, array in fastai_state(start).items()}
    model.load_state_dict(state)


def _fit(
    loaders: Any, model: torch.nn.Module, stages: Sequence[Stage], splitter: Any, name: str, metric: Any
) -> list[Row]:
    """The stages through fastai's learner, whose AR, TAR and momenta are its defaults."""
    learner = fastai.TextLearner(
        loaders,
        model,
        loss_func=fastai.CrossEntropyLossFlat(),
        splitter=splitter,
        metrics=metric,
        default_cbs=False,
        cbs=[fastai.TrainEvalCallback(), fastai.Recorder(add_time=False)],
    )
    learner.logger = lambda row: None
    rows = []
    for stage in stages:
        rate = stage.learning_rate
        learner.freeze_to(stage.freeze_to)
        learner.fit_one_cycle(stage.epochs, slice(*rate) if isinstance(rate, tuple) else rate, wd=stage.weight_decay)
        for epoch, (train_loss, valid_loss, value) in enumerate(learner.recorder.values):
            measures = {"train_loss": train_loss, "valid_loss": valid_loss, name: value}
            rows.append({"stage": stage.name, "epoch": epoch} | {k: float(v) for k, v in measures.items()})
    return rows


def _stream_batch(inputs: np.ndarray, targets: np.ndarray) -> TorchBatch:
    return torch.from_numpy(inputs.T.astype(np.int64)), torch.from_numpy(targets.T.astype(np.int64))


def _document_batch(batch: DocumentBatch) -> TorchBatch:
    """Documents padded by fastai, to the length of the longest."""
    documents = [torch.from_numpy(batch.read(row).astype(np.int64)) for row in np.flatnonzero(batch.lengths)]
    bptt, width = batch.tokens.shape[1], len(documents[0])
    padded = [fastai.pad_chunk(document, pad_idx=1, seq_len=bptt, pad_len=width) for document in documents]
    return torch.stack(padded), torch.from_numpy(batch.labels[: len(documents)].astype(np.int64))
