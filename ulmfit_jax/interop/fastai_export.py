"""Models of this package for fastai: a torch state dictionary with fastai's names, and the vocabulary as a list."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ulmfit_jax.artifact import Artifact
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.interop.fastai_names import (
    DECODER_BIAS,
    DECODER_COPY,
    EMBEDDING,
    EMBEDDING_COPIES,
    Place,
    head_names,
    layer_names,
)
from ulmfit_jax.interop.new_files import write_new
from ulmfit_jax.nn.parameters import flatten
from ulmfit_jax.text.rules import SPECIALS
from ulmfit_jax.text.sentencepiece import SentencePieceTokenizer
from ulmfit_jax.text.sentencepiece_training import MODEL_SPECIALS


def fastai_state(artifact: Artifact, encoder_only: bool = False) -> dict[str, NDArray[Any]]:
    """The model's arrays under fastai 2's names, in the order of fastai's own state dictionaries.

    They fit, with `strict=True`, `get_language_model`, `get_text_classifier` and, for an encoder, `AWD_LSTM`, of the
    same sizes (`emb_sz`, `n_hid`, `n_layers`, `lin_ftrs`). fastai has no place for a calibrated classifier's
    temperature; its last layer, which has no bias, is divided by it, so that the probabilities are the same.

    Args:
        artifact: a language model, a classifier or an encoder.
        encoder_only: of a language model or classifier, the encoder alone, as `learn.load_encoder` takes it.

    Raises:
        ConfigError: the classifier pools all layers, which fastai's do not.
    """
    if artifact.head is not None and artifact.head.all_layers and not encoder_only:
        raise ConfigError(
            "this classifier reads all layers, and those of fastai the last one only: write its encoder alone "
            "(--encoder, encoder_only=True), or train it with pool_layers='last'"
        )
    leaves = flatten(artifact.parameters) | flatten(artifact.statistics)
    kind = "encoder" if encoder_only else artifact.kind
    prefix = {"encoder": "", "language_model": "0.", "classifier": "0.module."}[kind]
    embedding = np.asarray(leaves["encoder/embedding"])
    state = {f"{prefix}{name}": embedding for name in (EMBEDDING, EMBEDDING_COPIES[0])}
    last = f"head/dense_{len(artifact.head.hidden)}/kernel" if artifact.head else None
    places: dict[str, Place] = {}
    for layer in range(artifact.architecture.n_layers):
        places |= {f"{prefix}{name}": place for name, place in layer_names(layer).items()}
    if kind == "classifier" and artifact.head is not None:
        for index in range(len(artifact.head.hidden) + 1):
            places |= head_names(index)
    for name, place in places.items():
        array = np.asarray(leaves[place.path])
        if place.path == last:
            array = (array / artifact.temperature).astype(array.dtype) if artifact.temperature != 1 else array
        state[name] = np.ascontiguousarray(array.T) if place.transposed else array
        if name.endswith("running_var"):
            state[name.replace("running_var", "num_batches_tracked")] = np.zeros((), np.int64)
    if kind == "language_model":
        state |= {DECODER_COPY: embedding, DECODER_BIAS: np.asarray(leaves["decoder/bias"])}
    return state


def fastai_words(artifact: Artifact) -> list[str]:
    """The vocabulary as fastai has it: a word for each row; of a SentencePiece model, its own pieces.

    The special tokens are the first nine, in fastai 2's order. In a SentencePiece model they are pieces such as
    `▁xxbos`, which is also how fastai's `SentencePieceTokenizer` writes them.
    """
    words = list(artifact.tokenizer.vocabulary.tokens)
    is_pieces = artifact.tokenizer.kind == SentencePieceTokenizer.kind
    return [*MODEL_SPECIALS, *words[len(SPECIALS) :]] if is_pieces else words


def export_fastai(artifact: Artifact, weights: str | Path, *, encoder_only: bool = False) -> list[Path]:
    """Write `NAME.pth` for fastai and, beside it, `NAME_vocab.pkl`, the pickled list of words.

    A classifier's class names go to `NAME_labels.pkl`, and the tokeniser of pieces to `NAME_spm.model`.

    Args:
        artifact: a language model, a classifier or an encoder.
        weights: the place of the `.pth` file.
        encoder_only: see `fastai_state`.

    Returns:
        The files written.

    Raises:
        ConfigError: torch is not installed, or the name does not end in `.pth`.
        ArtifactError: one of the files exists already or cannot be written.
    """
    try:
        import torch
    except ImportError as error:
        raise ConfigError(
            "a file for fastai needs torch: install it with pip install '.[fastai]' in the folder of ulmfit-jax"
        ) from error
    weights = Path(weights)
    if weights.suffix != ".pth":
        raise ConfigError(f"{weights} is no name that fastai finds: give one that ends in .pth")
    # Copies of the embedding are one tensor, which torch saves once.
    arrays = fastai_state(artifact, encoder_only)
    tensors = {id(array): torch.from_numpy(np.array(array)) for array in arrays.values()}
    state = {name: tensors[id(array)] for name, array in arrays.items()}
    writers: dict[Path, Callable[[IO[bytes]], object]] = {
        weights: lambda file: torch.save(state, file),
        weights.with_name(f"{weights.stem}_vocab.pkl"): lambda file: pickle.dump(fastai_words(artifact), file),
    }
    if artifact.labels and not encoder_only:
        labels = list(artifact.labels)
        writers[weights.with_name(f"{weights.stem}_labels.pkl")] = lambda file: pickle.dump(labels, file)
    if isinstance(artifact.tokenizer, SentencePieceTokenizer):
        proto = artifact.tokenizer.model_proto
        writers[weights.with_name(f"{weights.stem}_spm.model")] = lambda file: file.write(proto)
    write_new(writers)
    return list(writers)
