from __future__ import annotations

import pickle
import random
import time

import numpy as np
import pytest
import sentencepiece
from drawn_texts import any_text
from hypothesis import given, settings
from hypothesis import strategies as st

from ulmfit_jax.errors import ArtifactError, ConfigError, DataError
from ulmfit_jax.text import SPECIALS, SentencePieceTokenizer, memo

# A word gets a piece of its own only if it is part of two different words.
CORPUS = [
    "The cat sat on the mat, the cats sat.\n\nThe DOG ran!!!",
    "A dog, a cat! Then no no no dogs sat on it; no",
    "It's the $5 <unk> mat. No, note 3, 3. Mats! Sat!",
] * 4


@pytest.fixture(scope="module")
def tokenizer() -> SentencePieceTokenizer:
    return SentencePieceTokenizer.train(CORPUS, vocabulary_size=60)


def test_special_tokens_have_their_ids_in_the_model(tokenizer):
    processor = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model_proto)
    pieces = [processor.IdToPiece(i) for i in range(9)]
    assert pieces == ["xxunk", "xxpad", *("▁" + special for special in SPECIALS[2:])]
    assert processor.unk_id() == 0
    assert processor.pad_id() == 1
    assert (processor.bos_id(), processor.eos_id()) == (-1, -1)


def test_vocabulary_has_plain_special_tokens(tokenizer):
    assert tokenizer.vocabulary.tokens[:9] == SPECIALS
    assert tokenizer.vocabulary.index("▁the") > 8
    assert len(tokenizer) == len(tokenizer.vocabulary)


GOLDEN = {
    "": ["xxbos"],
    "The DOG\n\nsat": ["xxbos", "xxmaj", "▁the", "xxup", "▁dog", "▁sat"],
    "no no no!!!": ["xxbos", "xxwrep", "▁3", "▁no", "xxrep", "▁3", "▁", "!"],
    "<unk> xxunk": ["xxbos", "xxunk", "xxunk"],
    "☃": ["xxbos", "▁", "xxunk"],
    "xxbos": ["xxbos", "xxbos"],
    "c\u0327at \x01 \u200b": ["xxbos", "▁", "xxunk", "a", "t"],
}


@pytest.mark.parametrize(("text", "expected"), GOLDEN.items())
def test_golden(tokenizer, text, expected):
    assert tokenizer.pieces(tokenizer.encode(text)) == expected


def test_ids_are_int32(tokenizer):
    ids = tokenizer.encode("The cat")
    assert ids.dtype == np.int32
    assert ids.flags.writeable


@given(any_text)
@settings(max_examples=200)
def test_any_text_begins_with_bos_and_holds_no_padding(tokenizer, text):
    ids = tokenizer.encode(text)
    assert ids[0] == 2
    assert 1 not in ids
    assert ids.max() < len(tokenizer)
    tokenizer.decode(ids)


@given(any_text, st.sampled_from([" ", "\n", " the "]))
@settings(max_examples=200)
def test_a_word_has_the_same_ids_wherever_it_stands(tokenizer, text, between):
    alone = tokenizer.encode("mat").tolist()[1:]
    # The drawn text ends in another word, so that no repetition is made of the two.
    assert tokenizer.encode(f"{text} sat{between}mat").tolist()[-len(alone) :] == alone


def test_a_text_cannot_write_padding(tokenizer):
    assert 1 not in tokenizer.encode("xxpad ▁xxpad XXPAD")


def test_full_memo_is_emptied(tokenizer, monkeypatch):
    texts = [f"cat{i} dog ran{i % 7}" for i in range(50)]
    expected = [tokenizer.encode(text).tolist() for text in texts]
    monkeypatch.setattr(memo, "CAPACITY", 30)
    fresh = pickle.loads(pickle.dumps(tokenizer))
    assert [fresh.encode(text).tolist() for text in texts] == expected
    assert fresh._encoder._characters <= 30


@pytest.mark.parametrize("word", ["a" * 10**6, "ab" * 500_000, "漢字" * 500_000, "A1" * 500_000, "☃a" * 500_000])
def test_a_word_of_a_million_characters_takes_linear_time(tokenizer, word):
    start = time.process_time()
    tokenizer.encode(word)
    assert time.process_time() - start < 5


@pytest.mark.parametrize("text", [None, 3, float("nan"), b"bytes", ["a"]])
def test_other_than_text_is_refused(tokenizer, text):
    with pytest.raises(DataError, match="give texts as str"):
        tokenizer.encode(text)


def test_decoded_text_is_readable(tokenizer):
    for text in ("The DOG sat on the $5 mat.", "no no no cat ran", "It's the cat !!! It's"):
        assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.decode([]) == ""
    assert tokenizer.decode([2, 8, 8]) == "xxmaj xxmaj"
    with pytest.raises(ConfigError, match="id 1000000 is not in the vocabulary"):
        tokenizer.decode([1_000_000])


def test_training_is_deterministic():
    texts = [
        " ".join(random.Random(i).choices(["cat", "dogs", "Running", "ran", "mats", "tin", "a"], k=40))
        for i in range(50)
    ]
    first = SentencePieceTokenizer.train(texts, vocabulary_size=64)
    again = SentencePieceTokenizer.train(iter(texts), vocabulary_size=64)
    shuffled = SentencePieceTokenizer.train(reversed(texts), vocabulary_size=64)
    assert first.model_proto == again.model_proto == shuffled.model_proto
    assert first.fingerprint() == again.fingerprint()
    assert len(first.fingerprint()) == 64


def test_training_is_silent(capfd):
    SentencePieceTokenizer.train(CORPUS, vocabulary_size=60)
    assert capfd.readouterr() == ("", "")


def test_a_tiny_corpus_gives_a_small_vocabulary():
    tokenizer = SentencePieceTokenizer.train(["a"])
    assert tokenizer.vocabulary.tokens[:9] == SPECIALS
    assert set(tokenizer.vocabulary.tokens[9:]) == {"▁", "a"}


def test_long_documents_and_words_take_part_in_training():
    """SentencePiece by itself leaves out lines over 4,192 bytes."""
    documents = [" ".join(["filler"] * 2 + ["zebra"]) * 2000, "漢字仮名" * 3000]
    tokenizer = SentencePieceTokenizer.train(documents, vocabulary_size=100, character_coverage=1.0)
    assert 0 not in tokenizer.encode("zebra 漢字仮名")


def test_special_tokens_in_the_texts_are_not_learned():
    texts = ["xxunk <unk> xxpad 'xxmaj' foo-xxbos-bar cat"] * 5
    tokenizer = SentencePieceTokenizer.train(texts, vocabulary_size=60)
    assert set("".join(tokenizer.vocabulary.tokens[9:])) <= set("▁cat")


def test_limit_on_characters_keeps_the_frequent_words():
    texts = ["common words here"] * 20 + [f"rare{i}z" for i in range(200)]
    tokenizer = SentencePieceTokenizer.train(texts, 60, max_characters=16)
    assert "z" not in tokenizer.vocabulary
    assert all(letter in tokenizer.vocabulary for letter in "common")


@given(st.lists(any_text, min_size=1, max_size=5))
@settings(max_examples=40)
def test_training_takes_any_text_or_says_why_not(texts):
    try:
        tokenizer = SentencePieceTokenizer.train(texts, vocabulary_size=400)
    except (ConfigError, DataError):
        return
    assert tokenizer.vocabulary.tokens[:9] == SPECIALS


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"vocabulary_size": 9}, "vocabulary_size is 9; it has to be over 9"),
        ({"vocabulary_size": 15}, r"vocabulary_size is 15, but .* need \d\d pieces; raise vocabulary_size"),
        ({"character_coverage": 0.5}, "character_coverage is 0.5"),
        ({"max_characters": 0}, "max_characters is 0"),
    ],
)
def test_senseless_options_are_refused(options, words):
    with pytest.raises(ConfigError, match=words):
        SentencePieceTokenizer.train(CORPUS, **options)


@pytest.mark.parametrize("texts", [[], [""], [" \n", "xxunk"]])
def test_texts_without_words_are_refused(texts):
    with pytest.raises(DataError, match="hold no words"):
        SentencePieceTokenizer.train(texts)


def test_texts_that_normalise_to_nothing_are_refused():
    with pytest.raises(DataError, match="SentencePiece cannot learn from these texts"):
        SentencePieceTokenizer.train(["\x01 \u200b"])


@pytest.mark.parametrize("content", [b"", b"junk", b"\x00" * 100])
def test_other_bytes_are_no_model(content):
    with pytest.raises(ArtifactError, match="bytes given are not a SentencePiece model"):
        SentencePieceTokenizer(content)


def test_a_model_without_the_special_tokens_is_refused(tmp_path):
    (tmp_path / "text").write_text("the cat sat\n" * 10)
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "text"),
        model_prefix=str(tmp_path / "m"),
        vocab_size=20,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    with pytest.raises(ArtifactError, match="begins with the pieces <unk> <s> </s>"):
        SentencePieceTokenizer((tmp_path / "m.model").read_bytes())
