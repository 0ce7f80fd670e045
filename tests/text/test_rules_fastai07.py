from __future__ import annotations

import time

import pytest
from drawn_texts import any_text
from hypothesis import given

from ulmfit_jax.text.rules import SPECIALS, join_fields
from ulmfit_jax.text.rules_fastai07 import NAMES_FASTAI07, apply_rules_fastai07

# What the paper's scripts with fastai 0.7 make of these texts before spaCy, under this package's names for the marks.
RULED = {
    "I LOVED this movie!!!! It cost $1000 and/or more...": (
        "xxbos xxfld 1 i xxup loved this movie xxrep 4 ! it cost $1000 and / or more..."
    ),
    "OK, USA NASA's U.S. A McDonald": "xxbos xxfld 1 ok, xxup usa xxup nasa's u.s. a mcdonald",
    "one<br /><br />two <br>three": "xxbos xxfld 1 one\n\ntwo \nthree",
    "no no no no no no.": "xxbos xxfld 1 xxwrep 5 no no.",
    "It cost $10000!!!": "xxbos xxfld 1 it cost $1 xxrep 4 0 !!!",
    "1 @,@ 200 @.@ 5 well @-@ known <unk>": "xxbos xxfld 1 1 @,@ 200.5 well-known u_n",
    'back\\slash \\"quoted\\" #1': 'xxbos xxfld 1 back \\ slash "quoted" # 1',
    "": "xxbos xxfld 1 ",
}


@pytest.mark.parametrize(("text", "expected"), RULED.items())
def test_rules(text: str, expected: str) -> None:
    assert apply_rules_fastai07(text) == expected


def test_marked_fields_are_not_marked_twice() -> None:
    assert apply_rules_fastai07(join_fields(["A title", "body"])) == "xxbos xxfld 1 a title xxfld 2 body"


def test_every_name_of_its_special_tokens_is_one_of_ours() -> None:
    assert set(NAMES_FASTAI07.values()) == {*SPECIALS} - {"xxmaj"}


@given(any_text)
def test_any_text_begins_with_bos_and_can_be_written(text: str) -> None:
    ruled = apply_rules_fastai07(text)
    assert ruled.startswith("xxbos xxfld ")
    ruled.encode()


@pytest.mark.parametrize("text", ["A" * 10**6, "no " * 300_000 + "nob", "<" + " " * 10**6, "<br" * 300_000])
def test_time_is_linear(text: str) -> None:
    start = time.process_time()
    apply_rules_fastai07(text)
    assert time.process_time() - start < 5  # quadratic time would be minutes
