"""`ulmfit show`: texts as a model reads them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ulmfit_jax.cli.arguments import add_reading_options, as_the_model, labelled_reading_options, whole_number
from ulmfit_jax.cli.console import note, show
from ulmfit_jax.cli.labelled_texts import remark_on_separator
from ulmfit_jax.counted import counted
from ulmfit_jax.pretrained import SHIPPED

if TYPE_CHECKING:
    from ulmfit_jax.data import TextDataset
    from ulmfit_jax.text import Tokenizer

SUMMARY = "show texts as a model reads them"

DESCRIPTION = """\
Print the first texts of DATA as the tokens that a model reads, with their labels, and the first batch of a language
model: rows of running text beside what is to be predicted, the same shifted by one. It shows whether the right columns
are read, and whether the model's pieces suit the language.
"""

EXAMPLES = """\
examples:
  ulmfit show reviews.csv
  ulmfit show letters.parquet --text-column subject --text-column body --label-column topic
  ulmfit show tfds:imdb_reviews:unsupervised --data-dir tfds --model run --rows 2
"""

_STREAM_TEXTS = 200
"""Texts that the language model's batch is cut from."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ulmfit show`."""
    parser.add_argument("data", metavar="DATA", help="texts, with or without labels; see ulmfit --help")
    parser.add_argument(
        "--model",
        metavar="NAME|DIR",
        help=f"whose tokeniser reads them; {SHIPPED} if not given, or, where it is missing, one trained on DATA",
    )
    parser.add_argument(
        "--rows", type=whole_number(1), default=4, metavar="N", help="rows of each table (default: %(default)s)"
    )
    add_reading_options(parser, labels=True)


def run(options: argparse.Namespace) -> None:
    """Read, tokenise, print."""
    from ulmfit_jax.data import read_dataset, show_documents
    from ulmfit_jax.foreign_text import foreign_text_note

    reading = options if options.model is None else as_the_model(options)
    needed = options.label_column is not None
    data = read_dataset(options.data, require_labels=needed, **labelled_reading_options(reading))
    tokenizer = _tokenizer(options.model, data)
    if said := foreign_text_note(SHIPPED if options.model is None else options.model, tokenizer, data.texts):
        note(said)
    remark_on_separator(data)
    show(f"{options.data}: {counted(len(data), 'text')}, {_classes(data)}\n")
    show(show_documents(data, None, tokenizer, options.rows))
    show("\nthe language model reads text and predicts text_:\n")
    show(_language_model_batch(data, tokenizer, options.rows))


def _tokenizer(name: str | None, data: TextDataset) -> Tokenizer:
    """The tokeniser of a model, or one trained on the data."""
    from ulmfit_jax.pretrained import model_folder, shipped_models
    from ulmfit_jax.text import SentencePieceTokenizer, load_tokenizer

    if name is not None or SHIPPED in shipped_models():
        return load_tokenizer(model_folder(name if name is not None else SHIPPED))
    note(f"{SHIPPED} is not in this installation: the pieces are learnt from {data.source}")
    return SentencePieceTokenizer.train(data.texts)


def _classes(data: TextDataset) -> str:
    if data.targets is None:
        return "without labels"
    counts = sorted(data.texts_by_label().items())
    shown = ", ".join(f"{name} ({count:,})" for name, count in counts[:20])
    kind = counted(len(counts), "class", "classes")
    if data.label_sets is not None:
        kind += ", several a text or none"
    return f"{kind}: {shown}{', ...' if len(counts) > 20 else ''}"


def _language_model_batch(data: TextDataset, tokenizer: Tokenizer, rows: int) -> str:
    from ulmfit_jax.data import LanguageModelStream, corpus_in_memory, show_language_model_batch

    corpus = corpus_in_memory(data.texts[:_STREAM_TEXTS], tokenizer)
    stream = LanguageModelStream(corpus, batch_size=max(min(rows, corpus.n_tokens - 1), 1))
    return show_language_model_batch(stream, tokenizer, rows)
