"""Files as the three generations of fastai leave them, and torch's own answers to compare with."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch, which writes these files, is not installed")
pytest.importorskip("spacy", reason="spaCy, which imported models cut words with, is not installed")

import torch

from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.awd_lstm import LanguageModelNetwork, initial_state
from ulmfit_jax.nn.parameters import Tree
from ulmfit_jax.nn.softmax import logits
from ulmfit_jax.training.language_model import language_model_definition

torch.set_num_threads(1)

WORDS = ("the", "film", "was", "good", "bad", ",", ".", "and", "a", "day", "\n\n", "do", "n't")
VOCABULARIES = {
    "fastai-2": ["xxunk", "xxpad", "xxbos", "xxeos", "xxfld", "xxrep", "xxwrep", "xxup", "xxmaj", *WORDS, "xxfake"],
    "fastai-1": ["xxunk", "xxpad", "xxmaj", "the", "xxbos", "xxup", "film", "xxrep", "xxeos", *WORDS[2:], "xxfld"],
    "fastai-0.7": ["_unk_", "_pad_", *WORDS, "xbos", "t_up", "u_n", "xfld", "tk_wrep", "1"],
}


class TorchLanguageModel:
    """An AWD-LSTM of torch's own layers, with parameters far enough from 0 that each of them matters."""

    def __init__(self, rows: int, embedding: int = 6, hidden: int = 10, layers: int = 3, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.sizes = Architecture(rows, embedding, hidden, layers)
        self.embedding = torch.randn(rows, embedding)
        self.lstms = [torch.nn.LSTM(inputs, outputs) for inputs, outputs in self.sizes.layer_sizes()]
        self.bias = torch.randn(rows)

    def logits(self, ids: list[int], bias: bool = True) -> np.ndarray:
        """Scores `[time, rows]` after each token."""
        with torch.no_grad():
            outputs = self.embedding[torch.tensor(ids)][:, None]
            for lstm in self.lstms:
                outputs, _ = lstm(outputs)
            scores = outputs[:, 0] @ self.embedding.T
        return (scores + self.bias if bias else scores).numpy()

    def state(self, generation: str, encoder_only: bool = False) -> dict[str, Any]:
        """The state dictionary that this generation of fastai saves."""
        prefix = "" if encoder_only else "0."
        copy = "encoder_with_dropout.embed.weight" if generation == "fastai-0.7" else "encoder_dp.emb.weight"
        state = OrderedDict({f"{prefix}encoder.weight": self.embedding, f"{prefix}{copy}": self.embedding})
        for number, lstm in enumerate(self.lstms):
            rnn = f"{prefix}rnns.{number}"
            raw = f"{rnn}.module.weight_hh_l0_raw" if generation == "fastai-0.7" else f"{rnn}.weight_hh_l0_raw"
            state[raw] = lstm.weight_hh_l0.detach()
            if generation == "fastai-1":  # what weight drop made of it at the last step
                state[f"{rnn}.module.weight_hh_l0"] = torch.zeros_like(lstm.weight_hh_l0)
            for name in ("weight_ih_l0", "bias_ih_l0", "bias_hh_l0"):
                state[f"{rnn}.module.{name}"] = getattr(lstm, name).detach()
        if not encoder_only:
            state["1.decoder.weight"] = self.embedding
            if generation != "fastai-0.7":
                state["1.decoder.bias"] = self.bias
        return state


def write(folder: Path, state: Any, words: Any, *, legacy: bool = False, name: str = "model.pth") -> tuple[Path, Path]:
    """Both files of a model."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state, folder / name, _use_new_zipfile_serialization=not legacy)
    (folder / "itos.pkl").write_bytes(pickle.dumps(words))
    return folder / name, folder / "itos.pkl"


def our_logits(parameters: Tree, sizes: Architecture, ids: list[int]) -> np.ndarray:
    """Scores `[time, vocabulary]` after each token, from our network."""
    definition = language_model_definition(sizes)

    @jax.jit
    def scores(parameters: Tree, tokens: jax.Array) -> jax.Array:
        network: LanguageModelNetwork = definition.bind(parameters)
        outputs, _ = network.encoder(tokens, initial_state(sizes, 1))
        return logits(outputs, network.encoder.embedding[...], network.decoder.bias[...])[:, 0]

    return np.asarray(scores(parameters, np.array(ids, np.int32)[:, None]))
