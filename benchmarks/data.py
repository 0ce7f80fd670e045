"""What both sides work on: tokens drawn at random, and the first reviews of IMDb. Imports no JAX, so that the memory of
fastai's side is its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ulmfit_jax.data import Corpus, DocumentBatches, LanguageModelStream, corpus_in_memory, read_dataset
from ulmfit_jax.nn.architecture import Architecture, preset
from ulmfit_jax.pretrained import model_folder
from ulmfit_jax.text import load_tokenizer

BATCH_SIZE, BPTT = 64, 72


def full_size(vocabulary: int) -> Architecture:
    """The paper's network over so many tokens."""
    return preset("ulmfit", vocabulary)


def stream(vocabulary: int, steps: int, batch_size: int = BATCH_SIZE, bptt: int = BPTT) -> LanguageModelStream:
    """Random tokens for so many steps: what they say has no influence on the time."""
    tokens = np.random.default_rng(0).integers(9, vocabulary, batch_size * bptt * steps + 1).astype(np.int32)
    return LanguageModelStream(Corpus.from_arrays([tokens]), batch_size, bptt)


def reviews(data_dir: Path, count: int) -> tuple[list[str], np.ndarray]:
    """The first reviews of IMDb's training split, and their classes."""
    data = read_dataset("tfds:imdb_reviews:train", data_dir=data_dir).select(np.arange(count))
    return list(data.texts), np.array([label == "pos" for label in data.labels or ()]).astype(np.int32)


def batches(data_dir: Path, count: int) -> tuple[DocumentBatches, int]:
    """These reviews in the pieces of the shipped tokeniser, in batches, and the size of its vocabulary."""
    texts, labels = reviews(data_dir, count)
    tokenizer = load_tokenizer(model_folder("wikipedia-small-forward"))
    corpus = corpus_in_memory(texts, tokenizer, workers=2)
    return DocumentBatches(corpus, labels, BATCH_SIZE, BPTT), len(tokenizer.vocabulary)
