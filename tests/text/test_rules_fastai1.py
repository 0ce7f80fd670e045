from __future__ import annotations

import time

import pytest
from drawn_texts import any_text
from hypothesis import given

from ulmfit_jax.text.rules_fastai1 import SPECIALS_FASTAI1, apply_rules_fastai1, mark_capitals

# What fastai 1.0.61 makes of these texts before its tokenizer.
RULED = {
    "I LOVED this movie!!!! It cost $1000 and/or more...": (
        "xxbos I LOVED this movie xxrep 4 ! It cost $1000 and / or more..."
    ),
    "It cost $10000!!! aaa": "xxbos It cost $1 xxrep 4 0 !!! aaa",
    "one<br /><br />two\nthree": "xxbos one \n \n two \n three",
    "no no no, yes": "xxbos no no no, yes",
    "no no no no no no.": "xxbos xxwrep 5 no no.",
    "ha-ha-ha-ha-ha": "xxbos xxwrep 2 ha- ha",
    "1 @,@ 200 @.@ 5 well @-@ known <unk>": "xxbos 1,200.5 well-known xxunk",
    'back\\slash \\"quoted\\" one\\ntwo #1': 'xxbos back \\ slash "quoted" one \n two # 1',
    "Fish amp; chips nbsp;#39;tis &lt;b&gt; 5 &euro;": "xxbos Fish & chips 'tis <b> 5 €",
    "  two  spaces  ": "xxbos two spaces ",
    "": "xxbos ",
    "a\ud83d\ude00b\ud800": "xxbos a😀b\ufffd",
}


@pytest.mark.parametrize(("text", "expected"), RULED.items())
def test_rules(text: str, expected: str) -> None:
    assert apply_rules_fastai1(text) == expected


MARKED = {
    "The NASA I McDonald iPad": "xxmaj the xxup nasa i mcdonald ipad",
    "U.S. A+ TV-14 É ÉA Éa": "xxup u.s. xxup a+ xxup tv-14 é xxup éa xxmaj éa",
    "xxbos xxrep 4 ! 'S": "xxbos xxrep 4 ! xxup 's",
    "": "",
}


@pytest.mark.parametrize(("tokens", "expected"), MARKED.items())
def test_capitals(tokens: str, expected: str) -> None:
    assert mark_capitals(tokens.split()) == expected.split()


def test_special_tokens_are_fastai1s() -> None:
    assert " ".join(SPECIALS_FASTAI1) == "xxunk xxpad xxbos xxeos xxfld xxmaj xxup xxrep xxwrep"


@given(any_text)
def test_any_text_begins_with_bos_and_can_be_written(text: str) -> None:
    ruled = apply_rules_fastai1(text)
    assert ruled.startswith("xxbos ")
    assert "  " not in ruled
    ruled.encode()


@pytest.mark.parametrize(
    "text", ["a" * 10**6 + "!", "no " * 300_000 + "nob", "no no " * 100_000, "a" + "-" * 10**6, "a a a b " * 100_000]
)
def test_time_is_linear(text: str) -> None:
    start = time.process_time()
    apply_rules_fastai1(text)
    assert time.process_time() - start < 5  # quadratic time would be minutes
