"""The dropout masks that this package and fastai draw, in the order of drawing, recorded and exchanged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

from oracles.fastai.reference import torch
from ulmfit_jax.nn import awd_lstm, classifier

Shape = tuple[int, ...]


class Mask(NamedTuple):
    """A mask in fastai's layout: 0 where an element is dropped. `rate` is what was asked for."""

    rate: float
    array: np.ndarray


def record_ours(patch: pytest.MonkeyPatch) -> list[Mask]:
    """The list that our masks are written to from now on; nothing may be compiled while they are."""
    masks: list[Mask] = []

    def recording(draw: Callable[..., jax.Array], layout: Callable[[np.ndarray], np.ndarray]) -> Callable[..., Any]:
        def recorded(key: jax.Array, rate: float, *arguments: Any) -> jax.Array:
            mask = draw(key, rate, *arguments)
            masks.append(Mask(rate, layout(np.asarray(mask))))
            return mask

        return recorded

    patch.setattr(awd_lstm, "embedding_row_mask", recording(awd_lstm.embedding_row_mask, lambda rows: rows[:, None]))
    patch.setattr(awd_lstm, "locked_mask", recording(awd_lstm.locked_mask, lambda locked: locked[:, None]))
    patch.setattr(awd_lstm, "keep_mask", recording(awd_lstm.keep_mask, np.transpose))
    patch.setattr(classifier, "locked_mask", recording(classifier.locked_mask, np.asarray))
    return masks


def record_fastai(patch: pytest.MonkeyPatch) -> list[Mask]:
    """The list that fastai's masks are written to from now on."""
    masks: list[Mask] = []
    dropout = torch.nn.functional.dropout

    def draw(shape: Shape, rate: float) -> torch.Tensor:
        mask = dropout(torch.ones(shape), rate)
        masks.append(Mask(rate, mask.numpy()))
        return mask

    _draw_by(draw, patch)
    return masks


def give_to_fastai(masks: Sequence[Mask], patch: pytest.MonkeyPatch) -> list[Mask]:
    """Let fastai take these masks instead of drawing; of those for rows of a batch, the first rows that it asks for.

    Returns:
        The list of the masks that it has not yet taken.
    """
    left = list(masks)

    def draw(shape: Shape, rate: float) -> torch.Tensor:
        mask = left.pop(0)
        assert (mask.rate, mask.array.shape[1:]) == (rate, tuple(shape[1:]))
        return torch.from_numpy(mask.array[: shape[0]].copy())

    _draw_by(draw, patch)
    return left


def _draw_by(draw: Callable[[Shape, float], torch.Tensor], patch: pytest.MonkeyPatch) -> None:
    """Let fastai draw by `draw(shape, rate)`: for weights and the head it calls torch's dropout, elsewhere its own."""

    def dropout(values: torch.Tensor, p: float, training: bool = True, inplace: bool = False) -> torch.Tensor:
        return values * draw(tuple(values.shape), p) if training else values

    patch.setattr(torch.nn.functional, "dropout", dropout)
    patch.setattr("fastai.text.models.awdlstm.dropout_mask", lambda values, shape, rate: draw(tuple(shape), rate))
