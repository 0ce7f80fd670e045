"""The text rules against fastai's `defaults.text_proc_rules`, on real and on drawn texts."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pandas
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oracles.fastai.reference import fastai
from ulmfit_jax.data import read_dataset
from ulmfit_jax.text.rules import SPECIALS, apply_rules, join_fields


def fastai_rules(text: str) -> str:
    for rule in fastai.defaults.text_proc_rules:
        text = rule(text)
    return text


@pytest.mark.parametrize(
    ("location", "folder"),
    [
        ("tfds:imdb_reviews:train[:1500]", "tensorflow_datasets/imdb_reviews"),
        ("cls-de-books/train.jsonl", "cls-de-books"),
    ],
)
def test_real_reviews(data_dir: Path, location: str, folder: str) -> None:
    if not (data_dir / folder).is_dir():
        pytest.skip(f"no {folder} in {data_dir}")
    path = location if location.startswith("tfds:") else str(data_dir / location)
    reviews = read_dataset(path, data_dir=str(data_dir)).texts
    assert len(reviews) >= 1500
    different = [review for review in reviews if apply_rules(review) != fastai_rules(review)]
    assert different == []


CASES = [
    "",
    " \n\t ",
    "I LOVED this movie!!!! It cost $1000 and/or more...<br /><br />Don't say no no no no.",
    "A McDonald's ad; NASA's U.S. e-mail #1 and C# in TV-14",
    "Fish amp; chips nbsp;#39;tis #146;tis #36;5 quot;so&quot; &lt;b&gt; &euro; &amp;amp;amp; &notit; &#0; &#128;",
    "the <unk> of 1 @,@ 200 @.@ 5 well @-@ known @-@ @-@ @.@",
    'one\\ntwo \\"quoted\\" back\\slash\\\\n',
    "..... .... ... .. aaa AAA 111 ---- \n\n\n\n    \u3000\u3000\u3000",
    "No no no no NO NO NO ha\nha ha, he  he he he_ _ _ _ 1 1 1 no no nob a a a a a a b b b",
    "ÉÀÜ Éa ÉA ß ẞ İstanbul ΟΔΟΣ ΣΣΣ ǅ Ⅷ Straße STRASSE FÜR Für XÜ X X. X.Y x.Y AB\x1fCD\u2028Ef\x85Gh",
    "xxbos xxmaj xxup xxrep 3 a xxwrep 3 a xxunk XXUNK Xxunk",
    "\x00\ufeff\u200b\u0301e\u0301E\u0301 😀😀😀 漢漢漢 한국어 नमस्ते \U0010ffff",
    "A" * 2000 + "a " + "Aa" * 1000,
]


@pytest.mark.parametrize("text", CASES, ids=range(len(CASES)))
def test_cases(text: str) -> None:
    assert apply_rules(text) == fastai_rules(text)


ACTED_ON = list("aAbBnoO013 \n\t\x1f\x85\u3000#/\\&;.!'<>@-…ÉßİΣx_\u0301\u200b😀")
FRAGMENTS = [
    *SPECIALS,
    "amp;",
    "#39;",
    "quot;",
    "nbsp;",
    "&#6",
    "&gt;",
    "<br />",
    "<unk>",
    " @-@ ",
    "...",
    "\\n",
    '\\"',
]
FRAGMENTS += ["no ", "No ", "NO ", "no\n", "don't", "U.S.", "1,000 ", "Straße ", "  "]


@given(
    st.text(st.sampled_from(ACTED_ON), max_size=40)
    | st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=2), max_size=25).map("".join)
    | st.text()
)
def test_drawn_texts(text: str) -> None:
    assert apply_rules(text) == fastai_rules(text)


@given(st.text(st.characters(categories=["Cs"]) | st.sampled_from("a \ud83d\ude00"), max_size=8))
@example("a\ud83d\ude00b\ud800c")
def test_surrogates_are_joined_or_replaced_before_fastais_rules(text: str) -> None:
    joined = re.sub(
        "([\ud800-\udbff])([\udc00-\udfff])",
        lambda pair: chr(0x10000 + (ord(pair[1]) - 0xD800) * 0x400 + ord(pair[2]) - 0xDC00),
        text,
    )
    assert apply_rules(text) == fastai_rules(re.sub("[\ud800-\udfff]", "\ufffd", joined))


def test_fastai_keeps_surrogates_that_cannot_be_encoded() -> None:
    with pytest.raises(UnicodeEncodeError):
        fastai_rules("a\ud83d\ude00").encode()


@pytest.mark.parametrize("digits", [1, 2, 7, 8, 99, 100, 4300])
def test_numeric_references(digits: int) -> None:
    text = f"a &#{'9' * digits}; b"
    assert apply_rules(text) == fastai_rules(text)


def test_numeric_references_of_more_digits_than_python_reads_are_no_character() -> None:
    text = f"a &#{'9' * 4301}; b"
    assert apply_rules(text) == "xxbos a \ufffd b"
    with pytest.raises(ValueError, match="integer string conversion"):
        fastai_rules(text)


def test_a_hundred_digits_with_leading_zeros_are_no_character() -> None:
    text = f"a &#{'0' * 98}65; b"
    assert (apply_rules(text), fastai_rules(text)) == ("xxbos a \ufffd b", "xxbos a a b")


@given(st.lists(st.text(max_size=8), min_size=2, max_size=4))
def test_fields(fields: list[str]) -> None:
    join_texts = importlib.import_module("fastai.text.core")._join_texts
    frame = pandas.DataFrame([fields], dtype=object)
    assert join_fields(fields) == join_texts(frame, mark_fields=True)[0]


def test_special_tokens() -> None:
    assert list(SPECIALS) == fastai.defaults.text_spec_tok
