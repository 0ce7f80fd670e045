"""A language model or encoder of fastai as a model of this package."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from ulmfit_jax.artifact import Artifact
from ulmfit_jax.errors import ArtifactError, ConfigError
from ulmfit_jax.interop.fastai_vocabulary import FastaiVocabulary, read_vocabulary
from ulmfit_jax.interop.fastai_weights import FastaiWeights, read_weights
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.text.generations import GENERATIONS
from ulmfit_jax.text.spacy_words import SpacyTokenizer
from ulmfit_jax.text.vocabulary import apply_match


def import_fastai(
    weights: str | Path,
    vocabulary: str | Path,
    *,
    language: str = "en",
    backwards: bool = False,
    rules: str | None = None,
) -> Artifact:
    """Read weights and words that fastai 2, fastai 1 or fastai 0.7 saved; nothing in the files is executed.

    Rows of the embedding and the decoder's bias move with their words: the special tokens come first, in this package's
    order whatever the file's, and one that the file lacks starts as the mean row.

    Args:
        weights: `.pth` or `.h5`, of `learn.save` or `learn.save_encoder`.
        vocabulary: the pickled list of words that belongs to them, `itos.pkl`.
        language: which words spaCy cuts, as for `SpacyTokenizer`.
        backwards: the model was trained to read from the end; the files do not say.
        rules: `fastai-2`, `fastai-1` or `fastai-0.7`; None recognises them by the special tokens.

    Returns:
        A language model, or an encoder if the file has no decoder, with fastai's tokeniser of that generation.

    Raises:
        ArtifactError: a file is missing, damaged, of another network, or the two do not belong together.
        ConfigError: spaCy is missing or does not know the language, or there are no such rules.
    """
    weights, vocabulary = Path(weights), Path(vocabulary)
    if rules is not None and rules not in GENERATIONS:
        raise ConfigError(f"rules is {rules!r}: choose one of {', '.join(GENERATIONS)}")
    words = read_vocabulary(vocabulary, rules)
    tokenizer = SpacyTokenizer(words.vocabulary, language, words.generation.name)
    network = read_weights(weights)
    rows, entries = network.architecture.vocabulary_size, words.entries
    if rows != entries:
        raise ArtifactError(
            f"{vocabulary} has {entries:,} words and {weights} {rows:,} rows: give the vocabulary that was saved with "
            "these weights"
        )
    provenance = {
        "imported_from": {
            "weights": weights.name,
            "sha256": _digest(weights),
            "vocabulary": vocabulary.name,
            "text_rules": words.generation.name,
            "language": language,
        }
    }
    return Artifact(
        "encoder" if network.decoder_bias is None else "language_model",
        Architecture(**{**network.architecture.to_dict(), "vocabulary_size": len(words.vocabulary)}),
        tokenizer,
        _parameters(network, words),
        backwards=backwards,
        provenance=provenance,
    )


def _parameters(network: FastaiWeights, words: FastaiVocabulary) -> dict[str, Any]:
    """The arrays with their rows in the order of our vocabulary."""
    size = network.architecture.vocabulary_size
    bias = np.zeros((size,), np.float32) if network.decoder_bias is None else network.decoder_bias
    embedding, bias = apply_match(words.match(), network.encoder["embedding"], bias)
    encoder = {**network.encoder, "embedding": embedding}
    return {"encoder": encoder} if network.decoder_bias is None else {"encoder": encoder, "decoder": {"bias": bias}}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
