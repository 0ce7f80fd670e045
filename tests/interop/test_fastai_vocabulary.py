from __future__ import annotations

import pickle
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastcore_list import pickled_list

from ulmfit_jax.errors import ArtifactError
from ulmfit_jax.interop.fastai_vocabulary import FastaiVocabulary, read_vocabulary
from ulmfit_jax.text import SPECIALS
from ulmfit_jax.text.rules_fastai1 import SPECIALS_FASTAI1

PAPER = ["_unk_", "_pad_", "the", ",", "t_up", "xbos", "xfld", "1"]


def read(folder: Path, words: Any, **options: Any) -> FastaiVocabulary:
    content = words if isinstance(words, bytes) else pickle.dumps(words)
    (folder / "itos.pkl").write_bytes(content)
    return read_vocabulary(folder / "itos.pkl", **options)


def stoi(words: list[str]) -> dict[str, int]:
    return {word: row for row, word in enumerate(words)}


@pytest.mark.parametrize(
    ("words", "generation"),
    [
        ([*SPECIALS, "the", "xxfake", "xxfake"], "fastai-2"),
        ([*SPECIALS_FASTAI1, "the"], "fastai-1"),
        (["xxunk", "xxpad", "xxmaj", "the", ",", "."], "fastai-1"),
        (PAPER, "fastai-0.7"),
        (["_bos_", "_pad_", "_eos_", "_unk_", "the"], "fastai-0.7"),
    ],
)
def test_the_generation_is_recognised(tmp_path: Path, words: list[str], generation: str) -> None:
    found = read(tmp_path, words)
    assert found.generation.name == generation
    assert found.entries == len(words)
    assert found.vocabulary.tokens[: len(SPECIALS)] == SPECIALS
    assert read(tmp_path, words, rules="fastai-2").generation.name == "fastai-2"


def test_rows_follow_the_words(tmp_path: Path) -> None:
    found = read(tmp_path, PAPER)
    assert found.vocabulary.tokens == (*SPECIALS, "the", ",", "1")
    assert found.rows.tolist() == [0, 1, 5, -1, 6, -1, -1, 4, -1, 2, 3, 7]
    identity = read(tmp_path, [*SPECIALS, "the", "xxfake"])
    assert identity.rows.tolist() == list(range(11))
    assert identity.rows.dtype == np.int32


def test_of_two_names_for_one_special_token_the_texts_own_is_taken(tmp_path: Path) -> None:
    found = read(tmp_path, ["_bos_", "_pad_", "_eos_", "_unk_", "xbos", "the"])
    assert found.vocabulary.tokens == (*SPECIALS, "_bos_", "the")
    assert found.rows.tolist() == [3, 1, 4, 2, -1, -1, -1, -1, -1, 0, 5]


WORDS = [*SPECIALS, "the"]
FORMS = {
    "tuple": tuple(WORDS),
    "stoi": stoi(WORDS),
    "ordered": OrderedDict(stoi(WORDS)),
    "defaultdict": defaultdict(int, stoi(WORDS)),
    "counter": Counter(stoi(WORDS)),
    "L": pickled_list(WORDS),
    "old protocol": pickle.dumps(WORDS, 0),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_forms_of_a_vocabulary(tmp_path: Path, form: Any) -> None:
    assert read(tmp_path, form).vocabulary.tokens == tuple(WORDS)


MISTAKES: dict[str, tuple[Any, str]] = {
    "empty": (
        b"",
        r"cannot be read \(pickle exhausted before seeing STOP\): it is damaged, or not a pickled list of words",
    ),
    "text": (b"the\nfilm\n", "it is damaged, or not a pickled list of words, such as itos.pkl"),
    "truncated": (pickle.dumps(WORDS)[:-20], "is damaged, or not a pickled list"),
    "number": (5, "holds a int: give a pickled list of words"),
    "string": ("the film", "holds a str of 8: give a pickled list"),
    "counts": (Counter({"the": 7, "film": 3}), "holds a dict of 2: give a pickled list"),
    "nested": ([WORDS, ["good", "bad"]], r"has \['xxunk', .* as its word 0, which is no text"),
    "none": ([*SPECIALS, None], "has None as its word 9, which is no text"),
    "surrogate": ([*SPECIALS, "a\ud800"], r"has 'a\\ud800' as its word 9, which is no text"),
    "foreign": (["<unk>", "<pad>", "the"], "begins neither with xxunk, xxpad nor as those of fastai 0.7"),
    "sorted": (sorted([*SPECIALS, "the", ","]), "or in another order: give the itos.pkl that belongs"),
    "nothing": ([], "so it is not a vocabulary of fastai, or in another order: give the itos.pkl that belongs"),
    "a set": ({"the"}, r"names builtins\.set|holds a set of 1"),
    "persistent": (b"Pabc\n.", "a persistent id"),
}


@pytest.mark.parametrize(("content", "words"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes(tmp_path: Path, content: Any, words: str) -> None:
    with pytest.raises(ArtifactError, match=words) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(str(tmp_path / "itos.pkl"))
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(
        ArtifactError, match=r"nowhere\.pkl cannot be read \(No such file or directory\): give a pickled"
    ):
        read_vocabulary(tmp_path / "nowhere.pkl")
