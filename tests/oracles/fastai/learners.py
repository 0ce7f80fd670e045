"""fastai's own learner, with its callbacks, on given batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from oracles.fastai.reference import fastai, torch
from oracles.fastai.weights import gradients_of
from ulmfit_jax.data.batches import DocumentBatch
from ulmfit_jax.nn.parameters import Tree

TorchBatch = tuple[torch.Tensor, torch.Tensor]


class Epochs:
    """A loader that gives the next of the given epochs each time it is iterated."""

    def __init__(self, epochs: Iterable[Sequence[TorchBatch]]) -> None:
        self._epochs = list(epochs)
        self._next = iter(self._epochs)

    def __len__(self) -> int:
        return len(self._epochs[0])

    def __iter__(self) -> Iterator[TorchBatch]:
        return iter(next(self._next))


class KeepGradients(fastai.Callback):
    """Keeps loss, penalised loss and gradients of each step instead of taking it."""

    def before_fit(self) -> None:
        self.steps: list[tuple[float, float, Tree]] = []

    def before_step(self) -> None:
        losses = (tensor.detach().item() for tensor in (self.learn.loss, self.learn.loss_grad))
        self.steps.append((*losses, gradients_of(self.learn.model)))
        raise fastai.CancelStepException


def learner(model: torch.nn.Module, train: Any, valid: Sequence[TorchBatch] = (), **options: Any) -> fastai.TextLearner:
    """fastai's text learner without its progress bar and its printed table."""
    made = fastai.TextLearner(
        fastai.DataLoaders(train, list(valid)),
        model,
        loss_func=fastai.CrossEntropyLossFlat(),
        default_cbs=False,
        cbs=[fastai.TrainEvalCallback(), fastai.Recorder(add_time=False)],
        **options,
    )
    made.logger = lambda row: None
    return made


def stream_batch(inputs: np.ndarray, targets: np.ndarray) -> TorchBatch:
    """A batch of our language-model stream, `[time, batch]`, for fastai: `[batch, time]`."""
    return torch.from_numpy(inputs.T.astype(np.int64)), torch.from_numpy(targets.T.astype(np.int64))


def document_batch(batch: DocumentBatch, width: int | None = None) -> TorchBatch:
    """The documents of one of our batches for fastai, `[batch, width]`, and their labels; see `padded`."""
    documents = [batch.read(row) for row in np.flatnonzero(batch.lengths)]
    labels = batch.labels[: len(documents)].astype(np.int64)
    return padded(documents, batch.tokens.shape[1], width), torch.from_numpy(labels)


def padded(documents: Sequence[np.ndarray], bptt: int, width: int | None = None) -> torch.Tensor:
    """Documents, longest first, as fastai pads them: to the width of the longest, unless another is given."""
    width = width or len(documents[0])
    tensors = [torch.from_numpy(np.asarray(document, np.int64)) for document in documents]
    return torch.stack([fastai.pad_chunk(tensor, pad_idx=1, seq_len=bptt, pad_len=width) for tensor in tensors])
