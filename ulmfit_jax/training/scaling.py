"""Batch sizes and epochs for small data sets.

The published recipes are for tens of thousands of labels and tens of millions of tokens. With a hundredth of that,
their 64 rows a batch leave a handful of steps. The rules here give the published numbers where the data is large, and
smaller batches and more epochs where it is not, so that a stage takes some tens of steps.
"""

from __future__ import annotations

BATCH_SIZES = (64, 32, 16, 8)


def language_model_batch_size(tokens: int, bptt: int = 72) -> int:
    """Rows of the token stream: 64 (fastai) where an epoch then has 50 batches or more, otherwise fewer, at least 8."""
    return next((size for size in BATCH_SIZES if tokens >= 50 * size * bptt), BATCH_SIZES[-1])


def language_model_epochs(tokens: int, *, from_scratch: bool = False) -> int:
    """Epochs of a language model: 5 (10 from scratch) for the least text, then as many as 3 M tokens give, at least
    1."""
    return min(10 if from_scratch else 5, max(1, round(3_000_000 / max(tokens, 1))))


def fine_tuning_rate(epochs: int) -> float:
    """Peak rate of a language model's fine-tuning: the paper's 4e-3 where the text is read once or twice, then the
    less the more often it is read, 1e-3 for the notebook's ten epochs (experiments/README.md compares)."""
    return min(4e-3, 1e-2 / max(epochs, 1))


def classifier_batch_size(documents: int) -> int:
    """Documents of a batch: 64 (fastai) where an epoch then has 30 batches or more, otherwise fewer, at least 16."""
    return next((size for size in BATCH_SIZES[:-1] if documents >= 30 * size), 16)


def unfreezing_epochs(documents: int, batch_size: int) -> tuple[int, int, int, int]:
    """Epochs of the four stages: (1, 1, 1, 2) as in the notebook, multiplied up to 8 times towards 40 steps an
    epoch."""
    steps = max(documents // batch_size, 1)
    times = min(8, max(1, -(-40 // steps)))
    return (times, times, times, 2 * times)
