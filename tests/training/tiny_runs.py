"""Tasks so small that their programs compile in a second, over a corpus that can be learnt.

A document counts through one of two rings of tokens from a random place on: the next token can be known, and the ring
is the label.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ulmfit_jax.data.batches import DocumentBatches
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.data.stream import LanguageModelStream
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.parameters import Tree
from ulmfit_jax.training.classifier import ClassifierTask
from ulmfit_jax.training.language_model import LanguageModelTask
from ulmfit_jax.training.loop import Loop
from ulmfit_jax.training.loop_options import LoopOptions, TrainResult
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.progress import Progress
from ulmfit_jax.training.run_folder import RunFolder
from ulmfit_jax.training.stages import Stage

SIZES = Architecture(vocabulary_size=24, embedding_size=12, hidden_size=16, n_layers=3)
HEAD = Head(2, (6,))
BOS, RINGS, RING = 2, (9, 16), 7
BPTT = 8

LEARNABLE: dict[str, Any] = {"drop_mult": 0.2, "activation_penalty": 0.0, "temporal_penalty": 0.0}
"""Options with which the language model learns its corpus in some hundred steps."""

CLIPPED = Stage("all", 2, 1e-2, max_norm=0.5, weight_decay=0.1)
"""All layers with clipping; several tests run it, so that its programs are compiled once."""


def documents(count: int, longest: int, seed: int = 0) -> tuple[Corpus, np.ndarray]:
    """Documents of 4 to `longest` tokens, the first one the longest, and the numbers of their rings."""
    random = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int32) % 2
    texts = []
    for label in labels:
        length = int(random.integers(4, longest + 1)) if texts else longest
        steps = random.integers(RING) + np.arange(length - 1)
        texts.append(np.array([BOS, *(RINGS[label] + steps % RING)], np.int32))
    return Corpus.from_arrays(texts), labels


def stream_corpus() -> Corpus:
    """Text for 6 batches of 8 rows and 8 steps, and no token more."""
    tokens = np.concatenate(list(documents(200, 20)[0]))[: 8 * 6 * BPTT + 1]
    return Corpus.from_arrays(np.array_split(tokens.astype(np.int32), 20))


def language_model_task(devices: int | None = 1, backwards: bool = False, **options: Any) -> LanguageModelTask:
    """8 rows; 6 batches of 8 steps an epoch, the validation stream alike, so that one shape is compiled."""
    corpus = stream_corpus()
    train = LanguageModelStream(corpus, 8, BPTT, backwards, shuffle=True, seed=3)
    valid = LanguageModelStream(corpus, 8, BPTT, backwards)
    return LanguageModelTask(SIZES, train, valid, Devices(devices), **options)


def classifier_task(devices: int | None = 1, count: int = 40, head: Head = HEAD, **options: Any) -> ClassifierTask:
    """Documents of one or two chunks, 40 in 5 batches of 8, or fewer than 8 in a batch that is filled up; one shape."""
    corpus, labels = documents(count, 2 * BPTT)
    train, valid = (DocumentBatches(corpus, labels, 8, BPTT, seed=1, buckets=(2,)) for _ in range(2))
    return ClassifierTask(SIZES, head, train, valid, Devices(devices), **options)


def run(
    task: Any,
    stages: Sequence[Stage],
    start: tuple[Tree, Tree] | None = None,
    folder: Path | None = None,
    options: LoopOptions | None = None,
    progress: Progress | None = None,
    devices: int | None = 1,
) -> TrainResult:
    """Train from `start`, by default from seed 0, with the dropout seed 5."""
    loop = Loop(
        task,
        stages,
        Devices(devices),
        seed=5,
        folder=RunFolder(folder, {"stages": [stage.to_dict() for stage in stages]}) if folder else None,
        options=options or LoopOptions(),
        progress=progress,
    )
    return loop.run(*(start or task.definition.initialise(0)))


def assert_trained_alike(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    """Equal to 1e-5 relative, all arrays as one vector; and each element to 2e-4 of the largest one of its array: where
    a gradient is nearly nothing, Adam divides its rounding by as little."""
    assert sorted(found) == sorted(expected)
    difference = {path: found[path] - array for path, array in expected.items()}
    assert _norm(difference) <= 1e-5 * _norm(expected)
    for path, array in expected.items():
        assert np.abs(difference[path]).max() <= max(2e-4 * np.abs(array).max(), 1e-7), path


def _norm(arrays: dict[str, np.ndarray]) -> float:
    return float(np.sqrt(sum(np.square(array, dtype=np.float64).sum() for array in arrays.values())))
