"""Where texts and labels come from, and how they become arrays and batches."""

from ulmfit_jax.data.batches import DocumentBatch, DocumentBatches, chunk_buckets
from ulmfit_jax.data.corpus import (
    Corpus,
    build_corpus,
    cached_corpus,
    corpus_in_memory,
    open_corpus,
    texts_fingerprint,
)
from ulmfit_jax.data.dataset import TextDataset
from ulmfit_jax.data.labels import check_labels, label_indices
from ulmfit_jax.data.reading import TextStream, from_frame, iter_rows, iter_texts, read_dataset
from ulmfit_jax.data.show import show_documents, show_language_model_batch
from ulmfit_jax.data.split import train_validation_split
from ulmfit_jax.data.stream import LanguageModelStream

__all__ = [
    "Corpus",
    "DocumentBatch",
    "DocumentBatches",
    "LanguageModelStream",
    "TextDataset",
    "TextStream",
    "build_corpus",
    "cached_corpus",
    "check_labels",
    "chunk_buckets",
    "corpus_in_memory",
    "from_frame",
    "iter_rows",
    "iter_texts",
    "label_indices",
    "open_corpus",
    "read_dataset",
    "show_documents",
    "show_language_model_batch",
    "texts_fingerprint",
    "train_validation_split",
]
