"""Weights that are damaged, of another network or of another vocabulary: one sentence each that says which."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastai_files import VOCABULARIES, TorchLanguageModel, torch, write

from ulmfit_jax.errors import ArtifactError, ConfigError
from ulmfit_jax.interop import import_fastai

WORDS = VOCABULARIES["fastai-2"]
State = dict[str, Any]


def state() -> State:
    return TorchLanguageModel(len(WORDS)).state("fastai-2")


def refused(files: tuple[Path, Path], *parts: str, **options: Any) -> None:
    with pytest.raises((ArtifactError, ConfigError)) as caught:
        import_fastai(*files, **options)
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_vocabulary_of_another_size(tmp_path: Path) -> None:
    files = write(tmp_path, state(), [*WORDS, "more"])
    refused(files, "itos.pkl has 24 words and", "model.pth 23 rows: give the vocabulary that was saved with these")


def without(*names: str) -> Callable[[State], State]:
    return lambda state: {name: tensor for name, tensor in state.items() if name not in names}


def changed(name: str, value: Any) -> Callable[[State], State]:
    return lambda state: {**state, name: value}


def renamed(old: str, new: str) -> Callable[[State], State]:
    return lambda state: {name.replace(old, new): tensor for name, tensor in state.items()}


EDITS: dict[str, tuple[Callable[[State], Any], list[str]]] = {
    "missing": (
        without("0.rnns.1.module.bias_ih_l0", "0.rnns.2.weight_hh_l0_raw"),
        ["missing: 0.rnns.1.module.bias_ih_l0, 0.rnns.2.weight_hh_l0_raw)"],
    ),
    "unknown": (
        lambda state: {**state, "0.rnns.0.module.weight_ih_l0_reverse": torch.ones(2), "0.more": torch.ones(2)},
        ["unknown: 0.more, 0.rnns.0.module.weight_ih_l0_reverse)"],
    ),
    "both": (
        renamed("bias_ih", "bias_xx"),
        ["missing: 0.rnns.0.module.bias_ih_l0, ", "; unknown: 0.rnns.0.module.bias_"],
    ),
    "decoder": (renamed("decoder.bias", "decoder.shift"), ["missing: 1.decoder.bias; unknown: 1.decoder.shift"]),
    "shape": (
        changed("0.rnns.1.module.weight_ih_l0", torch.ones(40, 11)),
        ["0.rnns.1.module.weight_ih_l0 has the shape (40, 11) where the other parameters want (40, 10)"],
    ),
    "bias": (changed("1.decoder.bias", torch.ones(22)), ["1.decoder.bias has the shape (22,)", "want (23,)"]),
    "untied": (
        changed("1.decoder.weight", torch.ones(23, 6)),
        ["the decoder's matrix 1.decoder.weight differs from encoder.weight"],
    ),
    "copy": (changed("0.encoder_dp.emb.weight", torch.ones(5, 6)), ["the copy encoder_dp.emb.weight of the embedding"]),
    "nan": (
        changed("0.rnns.0.module.bias_ih_l0", torch.full((40,), float("nan"))),
        ["0.rnns.0.module.bias_ih_l0 holds something else than finite numbers"],
    ),
    "integers": (changed("1.decoder.bias", torch.ones(23, dtype=torch.int64)), ["something else than finite numbers"]),
    "no tensor": (changed("0.note", "hello"), ["has '0.note', which is no tensor by name"]),
    "classifier": (renamed("0.", "0.module."), ["holds a classifier: give its language model"]),
    "qrnn": (renamed("rnns", "qrnns"), ["has no LSTM layers as fastai names them"]),
    "transformer": (
        lambda _: {"wte.weight": torch.ones(2)},
        ["has no encoder.weight or 0.encoder.weight among wte.weight"],
    ),
    "list": (lambda _: [torch.ones(2)], ["holds no parameters by name"]),
    "expanded": (changed("1.decoder.bias", torch.ones(1).expand(23)), ["a tensor is larger than its storage"]),
}


@pytest.mark.parametrize(("edit", "parts"), EDITS.values(), ids=EDITS.keys())
def test_another_network(tmp_path: Path, edit: Callable[[State], Any], parts: list[str]) -> None:
    files = write(tmp_path, edit(state()), WORDS)
    refused(files, str(files[0]), *parts)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("share", [0, 0.01, 0.2, 0.5, 0.99])
def test_a_truncated_file(tmp_path: Path, share: float, legacy: bool) -> None:
    weights, vocabulary = write(tmp_path, state(), WORDS, legacy=legacy)
    content = weights.read_bytes()
    weights.write_bytes(content[: int(share * len(content))])
    refused((weights, vocabulary), str(weights))


CONTENTS = {
    "no pickle": (b"\x89HDF\r\n\x1a\n", "cannot be read (at position 1, opcode b'H' unknown"),
    "another pickle": (pickle.dumps([1, 2]), "it is damaged, or not weights that torch.save wrote"),
    "an archive": (b"\x1f\x8b\x08\x00", "is a packed archive: unpack it (tar xzf) and give the .pth file inside"),
}


@pytest.mark.parametrize(("content", "part"), CONTENTS.values(), ids=CONTENTS.keys())
def test_another_file(tmp_path: Path, content: bytes, part: str) -> None:
    weights, vocabulary = write(tmp_path, state(), WORDS)
    weights.write_bytes(content)
    refused((weights, vocabulary), str(weights), part)


def test_another_archive(tmp_path: Path) -> None:
    weights, vocabulary = write(tmp_path, state(), WORDS)
    with zipfile.ZipFile(weights, "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused((weights, vocabulary), "an archive without data.pkl")
    with zipfile.ZipFile(weights, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data.pkl", b"0" * 10**6)
    refused((weights, vocabulary), "compressed entries")


def test_missing_files_and_senseless_options(tmp_path: Path) -> None:
    weights, vocabulary = write(tmp_path, state(), WORDS)
    refused((tmp_path / "nowhere.pth", vocabulary), "nowhere.pth cannot be read (No such file or directory)")
    refused((tmp_path, vocabulary), f"{tmp_path} cannot be read (Is a directory)")
    refused((weights, vocabulary), "rules is 'fastai-3': choose one of fastai-2", rules="fastai-3")
    refused((weights, vocabulary), "spaCy cannot cut words of the language 'kl'", language="kl")
