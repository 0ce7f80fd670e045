from __future__ import annotations

from collections import Counter
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulmfit_jax.errors import ArtifactError, ConfigError
from ulmfit_jax.text import SPECIALS, Vocabulary, apply_match, match_vocabularies


def vocabulary(*tokens: str) -> Vocabulary:
    return Vocabulary((*SPECIALS, *tokens))


def test_build_orders_by_frequency_and_fills_up_with_xxfake():
    counts = Counter({"rare": 2, "b": 3, "a": 3, "the": 9, "xxmaj": 50, "xxfake": 7})
    assert Vocabulary.build(counts).tokens == (*SPECIALS, "the", "b", "a", *["xxfake"] * 4)


@pytest.mark.parametrize(
    ("different", "max_size", "size"), [(7, 60_000, 24), (6, 60_000, 16), (70_000, 60_000, 60_008), (100, 20, 24)]
)
def test_build_has_the_sizes_of_make_vocab(different, max_size, size):
    assert len(Vocabulary.build({str(i): 3 for i in range(different)}, max_size=max_size)) == size


def test_build_cuts_special_tokens_in():
    built = Vocabulary.build({str(i): 100 - i for i in range(50)}, max_size=12)
    assert built.tokens == (*SPECIALS, "0", "1", "2", *["xxfake"] * 4)


@pytest.mark.parametrize(("options", "words"), [({"max_size": 9}, "max_size is 9"), ({"min_freq": 0}, "min_freq is 0")])
def test_build_refuses_senseless_sizes(options, words):
    with pytest.raises(ConfigError, match=words):
        Vocabulary.build({"a": 3}, **options)


@given(st.dictionaries(st.text(), st.integers(0, 9)), st.integers(10, 30), st.integers(1, 5))
def test_build_properties(counts, max_size, min_freq):
    built = Vocabulary.build(counts, max_size, min_freq)
    assert len(built) % 8 == 0
    learned = [token for token in built.tokens[9:] if token != "xxfake"]
    assert all(counts[token] >= min_freq for token in learned)
    assert len(learned) + 9 <= max_size
    for i, token in enumerate(built.tokens):
        assert built.token(i) == token
        assert built.index(token) == (0 if token == "xxfake" else i)


def test_index_and_token():
    small = vocabulary("a")
    assert (small.index("a"), small.index("b"), small.index("xxmaj"), small.token(9), len(small)) == (9, 0, 8, "a", 10)
    assert "a" in small
    assert "b" not in small
    for i in (-1, 10):
        with pytest.raises(ConfigError, match=f"id {i} is not in the vocabulary; use one from 0 to 9"):
            small.token(i)


def test_is_immutable_and_compares_by_tokens():
    with pytest.raises(FrozenInstanceError):
        vocabulary("a").tokens = ()
    assert vocabulary("a") == vocabulary("a") != vocabulary("b")
    assert len({vocabulary("a"), vocabulary("a")}) == 1


def test_refuses_misplaced_special_tokens_and_doubles():
    with pytest.raises(ConfigError, match="has to begin with the special tokens"):
        Vocabulary(("a", *SPECIALS))
    with pytest.raises(ConfigError, match="begins with nothing"):
        Vocabulary(())
    with pytest.raises(ConfigError, match="token 'a' has the ids 9 and 11"):
        vocabulary("a", "b", "a")


def test_match_counts_and_rows():
    old = vocabulary("the", "gone", "cat", "xxfake", "xxfake")
    match = match_vocabularies(old, vocabulary("new", "cat", "the", "xxfake"))
    assert match.rows.tolist() == [*range(9), -1, 11, 9, 13]
    assert match.rows.dtype == np.int32
    assert (match.kept, match.new, match.dropped) == (11, 1, 1)
    assert str(match) == (
        "vocabulary: 11 of 12 tokens keep their pretrained rows, 1 new tokens start from the mean row, "
        "1 old tokens are dropped"
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_known_rows_are_copied_and_new_ones_are_the_mean(dtype):
    old, new = vocabulary("the", "cat"), vocabulary("dog", "cat")
    rng = np.random.default_rng(0)
    embedding, bias = rng.normal(size=(11, 4)).astype(dtype), rng.normal(size=11).astype(dtype)
    new_embedding, new_bias = apply_match(match_vocabularies(old, new), embedding, bias)
    assert (new_embedding.dtype, new_bias.dtype) == (dtype, dtype)
    np.testing.assert_array_equal(new_embedding[:9], embedding[:9])
    np.testing.assert_array_equal(new_embedding[10], embedding[10])
    np.testing.assert_array_equal(new_embedding[9], embedding.astype(np.float64).mean(axis=0).astype(dtype))
    assert new_bias[9] == dtype(bias.astype(np.float64).mean())
    assert new_bias[10] == bias[10]


def test_a_match_with_itself_changes_nothing():
    same = vocabulary("the", "cat")
    embedding, bias = np.arange(44, dtype=np.float32).reshape(11, 4), np.arange(11, dtype=np.float32)
    new_embedding, new_bias = apply_match(match_vocabularies(same, same), embedding, bias)
    np.testing.assert_array_equal(new_embedding, embedding)
    np.testing.assert_array_equal(new_bias, bias)
    assert new_embedding is not embedding


@pytest.mark.parametrize(
    ("embedding", "bias", "name"),
    [((10, 4), (11,), "embedding"), ((11,), (11,), "embedding"), ((11, 4), (12,), "bias")],
)
def test_arrays_of_another_vocabulary_are_refused(embedding, bias, name):
    match = match_vocabularies(vocabulary("the", "cat"), vocabulary("cat"))
    with pytest.raises(ArtifactError, match=f"the pretrained {name} has shape .* its vocabulary has 11 tokens"):
        apply_match(match, np.zeros(embedding), np.zeros(bias))
