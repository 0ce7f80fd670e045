from __future__ import annotations

import re
import time

import pytest
from drawn_texts import any_text
from hypothesis import assume, example, given
from hypothesis import strategies as st

from oracles.fastai_rules import fastai_rules
from ulmfit_jax.text import rules
from ulmfit_jax.text.rules import apply_rules, join_fields, undo_rules

# The first two are the golden cases of fastai 2.8.12 before its tokenizer; the others follow from the rules.
GOLDEN = {
    "I LOVED this movie!!!! It cost $1000 and/or more...<br /><br />Don't say no no no no.": (
        "xxbos i xxup loved this movie xxrep 4 ! xxmaj it cost $1 xxrep 3 0 and / or more …\n\n"
        "xxmaj don't say xxwrep 4 no ."
    ),
    "A McDonald's ad; NASA's U.S. e-mail #1": "xxbos a mcdonald's ad; nasa's xxup u.s. e-mail # 1",
    "": "xxbos ",
    "  \n ": "xxbos ",
    "Fish amp; chips nbsp;#39;tis &lt;b&gt; 5 &euro;": "xxbos xxmaj fish & chips 'tis <b> 5 €",
    "Fish &amp; chips": "xxbos xxmaj fish && chips",
    "the <unk> of 1 @,@ 200 @.@ 5 well @-@ known": "xxbos the xxunk of 1 @,@ 200.5 well-known",
    "wait.... What?": "xxbos wait …. xxmaj what?",
    "soooo aaa 111": "xxbos s xxrep 4 o xxrep 3 a xxrep 3 1",
    "AAAA": "xxbos xxrep 4 a",
    "No no no no": "xxbos xxmaj no xxwrep 3 no",
    "NO NO NO!": "xxbos xxwrep 3 xxup no !",
    "ha\nha ha, he he": "xxbos xxwrep 3 ha , he he",
    "no no nob": "xxbos no no nob",
    "I am A+ and C# in TV-14 MixedCase": "xxbos i am xxup a+ and c # in xxup tv-14 mixedcase",
    'one\\ntwo \\"quoted\\" back\\slash': 'xxbos one\ntwo "quoted" back \\ slash',
    "ΟΔΟΣ Éa ÉA": "xxbos οδος éa éa",
}


@pytest.mark.parametrize(("text", "expected"), GOLDEN.items())
def test_golden(text, expected):
    assert apply_rules(text) == expected


@given(any_text)
@example("AAAAa AAAA1 AB\x1fCD\u2028Ef")
def test_rules_are_fastais(text):
    assume(not any("\ud800" <= character <= "\udfff" for character in text))
    assert apply_rules(text) == fastai_rules(text)


@given(any_text)
def test_result_is_utf8_and_begins_with_bos(text):
    ruled = apply_rules(text)
    assert ruled.startswith("xxbos ")
    ruled.encode()


def test_surrogates():
    assert rules.replace_surrogates("a\ud83d\ude00b\ud800c\udc00") == "a😀b\ufffdc\ufffd"


def test_numeric_references_too_long_for_int():
    assert apply_rules(f"a&#{'9' * 5000};b &#0065;") == "xxbos a\ufffdb a"


@pytest.mark.parametrize(
    "text",
    [
        "A" * 10**6 + "a",
        "Aa" * 500_000,
        "no " * 300_000 + "nob",
        "no no " * 100_000 + "nob",
        ("a" + " " * 999) * 1000,
        "a a" * 300_000,
        "#\\/" * 100_000,
        "&a" * 300_000,
        "&#" + "9" * 10**6,
    ],
    ids=lambda text: text[:6],
)
def test_time_is_linear(text):
    start = time.process_time()
    apply_rules(text)
    assert time.process_time() - start < 5  # quadratic time would be minutes


def test_fields_are_marked_from_one():
    assert join_fields(["A title", "body"]) == "xxfld 1 A title xxfld 2 body"
    assert apply_rules(join_fields(["A title", "body"])) == "xxbos xxfld 1 a title xxfld 2 body"


def test_special_tokens_and_ids():
    assert rules.SPECIALS == ("xxunk", "xxpad", "xxbos", "xxeos", "xxfld", "xxrep", "xxwrep", "xxup", "xxmaj")
    for name in ("UNK", "PAD", "BOS", "EOS", "FLD", "REP", "WREP", "UP", "MAJ"):
        assert rules.SPECIALS[getattr(rules, f"{name}_ID")] == getattr(rules, name) == f"xx{name.lower()}"


UNDONE = {
    "xxbos i xxup loved this movie xxrep 4 ! xxmaj it": "i LOVED this movie !!!! It",
    "xxbos xxmaj don't say xxwrep 4 no .": "Don't say no no no no .",
    "xxbos xxwrep 3 xxup no !": "NO NO NO !",
    "xxbos xxwrep 3 xxmaj éa": "Éa Éa Éa",
    "xxbos a\n\nxxmaj b xxeos xxpad xxpad": "a\n\nB",
    "xxbos xxmaj": "xxmaj",
    "xxbos xxmaj xxup": "xxmaj xxup",
    "xxrep 4": "xxrep 4",
    "xxrep four !": "xxrep four !",
    "xxrep 123456789 !": "xxrep 123456789 !",
    "xxwrep 1234567 no": "xxwrep 1234567 no",
    "xxunk xxfld 1 xxmajor": "xxunk xxfld 1 xxmajor",
    "": "",
}


@pytest.mark.parametrize(("text", "expected"), UNDONE.items())
def test_undo_golden(text, expected):
    assert undo_rules(text) == expected


@given(any_text)
def test_undo_takes_any_text(text):
    undo_rules(text)
    undo_rules(apply_rules(text))


words = st.from_regex(r"[a-z0-9éüß][a-z0-9éüß'.,;:!?$%()-]{0,8}", fullmatch=True)
cased_words = (
    words
    | st.from_regex(r"[A-Z][a-z]{1,8}[.,!?]?", fullmatch=True)
    | st.from_regex(r"[A-Z][A-Z0-9]{1,8}[.,!?]?", fullmatch=True)
).filter(lambda word: not rules.CHARACTER_RUN.search(word) and "xx" not in word)
word_runs = st.builds(lambda word, n: [word] * n, cased_words.filter(str.isalnum), st.integers(3, 12))
character_runs = st.builds(lambda character, n: [character * n], st.sampled_from("!?-*=a~…é"), st.integers(3, 300))


@given(st.lists(cased_words.map(lambda word: [word]) | word_runs | character_runs))
def test_undo_is_exact_on_the_documented_texts(parts):
    text = " ".join(word for part in parts for word in part)
    assume(not re.search(r"\b(\w+) \1 \1[^\w ]", text))
    assert undo_rules(apply_rules(text)) == text
