from __future__ import annotations

import json
import sys

import pytest

pytest.importorskip("spacy", reason="spaCy, which this tokenizer cuts words with, is not installed")

from ulmfit_jax.errors import ArtifactError, ConfigError, DataError
from ulmfit_jax.text import SPECIALS, SpacyTokenizer, Vocabulary, spacy_words
from ulmfit_jax.text.generations import GENERATIONS

LOVED = "I LOVED this movie!!!! It cost $1000 and/or more...<br /><br />Don't say no no no no no."
NASA = "A McDonald's ad; NASA's U.S. e-mail #1"

# What fastai 2.8.12, fastai 1.0.61 and the paper's scripts give; a line break is written as ⏎, a space in a word as _.
GOLDEN = {
    ("fastai-2", LOVED): (
        "xxbos i xxup loved this movie xxrep 4 ! xxmaj it cost $ 1 xxrep 3 0 and / or more … ⏎⏎ "
        "xxmaj do n't say xxwrep 5 no ."
    ),
    ("fastai-2", NASA): "xxbos a mcdonald 's ad ; nasa 's xxup u.s . e - mail # 1",
    ("fastai-2", "a \n b"): "xxbos a ⏎▁ b",
    ("fastai-1", LOVED): (
        "xxbos i xxup loved this movie xxrep 4 ! xxmaj it cost $ 1000 and / or more ... ⏎_⏎_ "
        "xxmaj do n't say xxwrep 4 no no ."
    ),
    ("fastai-1", NASA): "xxbos a mcdonald 's ad ; xxup nasa 's xxup u.s. e - mail # 1",
    ("fastai-0.7", LOVED): (
        "xxbos xxfld 1 i xxup loved this movie xxrep 4 ! it cost $ 1000 and / or more ... ⏎⏎ "
        "do n't say xxwrep 4 no no ."
    ),
    ("fastai-0.7", NASA): "xxbos xxfld 1 a mcdonald 's ad ; xxup nasa 's u.s . e - mail # 1",
    ("fastai-0.7", "x<eos> <unk>"): "xxbos xxfld 1 x <eos> u_n",
}


def made(language: str = "en", rules: str = "fastai-2", *words: str) -> SpacyTokenizer:
    return SpacyTokenizer(Vocabulary((*SPECIALS, *words)), language, rules)


@pytest.mark.parametrize(("case", "expected"), GOLDEN.items())
def test_words_of_each_generation(case: tuple[str, str], expected: str) -> None:
    rules, text = case
    words = made("en", rules).words(text)
    assert " ".join(word.replace("\n", "⏎").replace(" ", "_") for word in words) == expected


def test_languages_cut_differently() -> None:
    assert made("de").words("z.B. don't")[1:] == ["z.b.", "don't"]
    assert made("en").words("z.B. don't")[1:] == ["z.b", ".", "do", "n't"]


@pytest.mark.parametrize("rules", GENERATIONS)
def test_unknown_words_and_the_padding_word_have_the_id_of_unk(rules: str) -> None:
    tokenizer = made("en", rules, "cat", "sat")
    ids = tokenizer.encode("cat xxpad dog sat").tolist()
    assert ids[0] == 2
    assert ids[-4:] == [9, 0, 0, 10]


def test_the_vocabulary_of_other_texts_keeps_language_and_rules() -> None:
    tokenizer = made("de", "fastai-1", "old").adapted(["Das Haus, das Haus"] * 2, min_freq=2)
    assert tokenizer.vocabulary.tokens[9:13] == ("das", "haus", ",", "xxfake")
    assert (tokenizer.language, tokenizer.rules) == ("de", "fastai-1")
    assert SpacyTokenizer.train(["Das Haus"] * 3, language="de", rules="fastai-1").language == "de"


def test_decoded_text_is_readable() -> None:
    tokenizer = SpacyTokenizer.train(["I LOVED it, don't you? It costs $5."], min_freq=1)
    ids = tokenizer.encode("I LOVED it, don't you? It costs $5.")
    assert tokenizer.decode(ids) == "i LOVED it, don't you? It costs $5."


def test_the_fingerprint_tells_languages_and_rules_apart() -> None:
    made_differently = [made(), made("de"), made("en", "fastai-1"), made("en", "fastai-2", "cat")]
    assert len({tokenizer.fingerprint() for tokenizer in made_differently}) == 4


@pytest.mark.parametrize("language", ["kl", "../x", "en.lex_attrs", "", "klingon"])
def test_an_unknown_language_is_refused(language: str) -> None:
    with pytest.raises(ConfigError, match=r"spaCy cannot cut words of the language .* give another code") as caught:
        made(language)
    assert "\n" not in str(caught.value)


def test_unknown_rules_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"rules is 'fastai-3': choose one of fastai-2, fastai-1, fastai-0\.7"):
        made("en", "fastai-3")


def test_a_text_that_is_none_is_refused() -> None:
    with pytest.raises(DataError, match="a text is None, a NoneType; give texts as str"):
        made().encode(None)  # type: ignore[arg-type]


def test_without_spacy_one_sentence_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    content = made().to_bytes()
    spacy_words._spacy_cut.cache_clear()
    monkeypatch.setitem(sys.modules, "spacy", None)
    for make in (made, lambda: SpacyTokenizer.from_bytes(content)):
        with pytest.raises(ConfigError, match=r"pip install '\.\[spacy\]'"):
            make()


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b'{"spacy_words_version": 1, "tokens": 5}'])
def test_other_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(ArtifactError, match=r"spacy\.json is not what SpacyTokenizer.save writes"):
        SpacyTokenizer.from_bytes(content)


def test_another_version_of_the_rules_is_refused() -> None:
    saved = json.loads(made().to_bytes()) | {"spacy_words_version": 7}
    with pytest.raises(ArtifactError, match="has version 7, but this version"):
        SpacyTokenizer.from_bytes(json.dumps(saved).encode())
