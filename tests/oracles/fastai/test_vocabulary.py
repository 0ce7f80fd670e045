"""Vocabularies against fastai's `make_vocab` and `Numericalize`, and their matching against `match_embeds`."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracles.fastai.reference import fastai, torch
from ulmfit_jax.text import SPECIALS, Vocabulary, apply_match, match_vocabularies

words = st.text("abcdeé", min_size=1, max_size=3) | st.sampled_from(SPECIALS)
counts = st.lists(st.tuples(words, st.integers(1, 6))).map(lambda pairs: Counter(dict(pairs)))


@given(counts, st.integers(10, 40), st.integers(1, 7))
def test_tokens_and_their_order(counts: Counter[str], max_size: int, min_freq: int) -> None:
    expected = fastai.make_vocab(counts, min_freq=min_freq, max_vocab=max_size)
    assert list(Vocabulary.build(counts, max_size, min_freq).tokens) == expected


@pytest.mark.parametrize(("different", "size"), [(59_990, 60_000), (59_991, 60_008), (70_000, 60_008)])
def test_default_sizes(different: int, size: int) -> None:
    counts = Counter({f"word{i}": 3 + i % 7 for i in range(different)})
    vocabulary = Vocabulary.build(counts)
    assert list(vocabulary.tokens) == fastai.make_vocab(counts)
    assert len(vocabulary) == size


def test_a_text_that_writes_the_filler() -> None:
    """fastai gives it a place among the words, and the id of unknown words to it all the same."""
    counts = Counter({"the": 9, "xxfake": 7, "cat": 5})
    assert fastai.make_vocab(counts) == [*SPECIALS, "the", "xxfake", "cat", *["xxfake"] * 4]
    assert Vocabulary.build(counts).tokens == (*SPECIALS, "the", "cat", *["xxfake"] * 5)


@given(st.lists(st.lists(words, min_size=1), min_size=1, max_size=5), st.lists(words | st.just("xxfake"), min_size=1))
def test_ids(documents: list[list[str]], text: list[str]) -> None:
    numericalize = fastai.Numericalize(min_freq=2, max_vocab=20)
    numericalize.setups(documents)
    vocabulary = Vocabulary.build(Counter(token for document in documents for token in document), 20, 2)
    assert [vocabulary.index(token) for token in text] == numericalize(text).tolist()


def fastai_match(
    old: Vocabulary, new: Vocabulary, embedding: np.ndarray, bias: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    weights = {"0.encoder.weight": torch.tensor(embedding), "1.decoder.bias": torch.tensor(bias)}
    weights["1.decoder.weight"] = weights["0.encoder.weight"]
    matched = fastai.match_embeds(weights, list(old.tokens), list(new.tokens))
    assert matched["1.decoder.weight"].equal(matched["0.encoder.weight"])
    return matched["0.encoder.weight"].numpy(), matched["1.decoder.bias"].numpy()


@given(counts, counts, st.integers(0, 2**32 - 1))
def test_matched_rows(old_counts: Counter[str], new_counts: Counter[str], seed: int) -> None:
    old, new = Vocabulary.build(old_counts, min_freq=1), Vocabulary.build(new_counts, min_freq=1)
    random = np.random.default_rng(seed)
    embedding = random.normal(size=(len(old), 3)).astype(np.float32)
    bias = random.normal(size=len(old)).astype(np.float32)
    match = match_vocabularies(old, new)
    ours, theirs = apply_match(match, embedding, bias), fastai_match(old, new, embedding, bias)
    for our_array, their_array in zip(ours, theirs, strict=True):
        known = match.rows >= 0
        np.testing.assert_array_equal(our_array[known], their_array[known])
        np.testing.assert_allclose(our_array[~known], their_array[~known], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("lacking", [False, True])
def test_new_words_are_the_mean_and_fillers_the_last_filler(lacking: bool) -> None:
    old = Vocabulary((*SPECIALS, "the", "cat", *([] if lacking else ["xxfake", "xxfake"])))
    new = Vocabulary((*SPECIALS, "dog", "the", "xxfake", "xxfake"))
    embedding, bias = np.arange(2 * len(old), dtype=np.float32).reshape(-1, 2), np.arange(len(old), dtype=np.float32)
    ours, our_bias = apply_match(match_vocabularies(old, new), embedding, bias)
    theirs, their_bias = fastai_match(old, new, embedding, bias)
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(our_bias, their_bias)
    mean = (len(old) - 1) / 2
    np.testing.assert_array_equal(our_bias[9:], [mean, 9.0, *([mean] * 2 if lacking else [12.0] * 2)])
