"""The text rules of fastai 2 (`fastai.text.core`, `defaults.text_proc_rules`): what happens to a text before tokens.

A rule is a function from text to text. `apply_rules` runs all of them in fastai's order and gives exactly fastai's
result, with three exceptions for input on which fastai raises or stalls: surrogates, numeric character references of a
hundred digits or more, and the regular expression for capitals, which is written here so that its time grows linearly
with the length of a word. Time is linear in the length of the text throughout.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

SPECIALS: Final = ("xxunk", "xxpad", "xxbos", "xxeos", "xxfld", "xxrep", "xxwrep", "xxup", "xxmaj")
UNK, PAD, BOS, EOS, FLD, REP, WREP, UP, MAJ = SPECIALS
UNK_ID, PAD_ID, BOS_ID, EOS_ID, FLD_ID, REP_ID, WREP_ID, UP_ID, MAJ_ID = range(len(SPECIALS))

RULES_VERSION: Final = "fastai-2"
"""Goes into every tokenizer's fingerprint; changes whenever a rule changes what any text becomes."""

LITERALS: Final = (
    ("#39;", "'"),
    ("amp;", "&"),
    ("#146;", "'"),
    ("nbsp;", " "),
    ("#36;", "$"),
    ("\\n", "\n"),
    ("quot;", "'"),
    ("<br />", "\n"),
    ('\\"', '"'),
    ("<unk>", UNK),
    (" @.@ ", "."),
    (" @-@ ", "-"),
    ("...", " …"),
)
_HUGE_REFERENCE: Final = re.compile(r"&#[0-9]{100,};?")
CHARACTER_RUN: Final = re.compile(r"(\S)\1{2,}")
_WORD_RUN: Final = re.compile(r"(?:\s|^)(\w+)\s+((?:\1\s+)+)\1(\W|$)")
_SPACED: Final = re.compile(r"([/#\\])")
_SPACES: Final = re.compile(r" {2,}")
# "Starts a word, ends a word" as assertions, and a possessive star: fastai's `[A-Z]+[^a-z\s]*` accepts the same words
# but backtracks quadratically in a long word of capitals.
_ALL_CAPITALS: Final = re.compile(r"(?<!\S)[A-Z][^a-z\s]*+(?!\S)")
_CAPITALISED: Final = re.compile(r"(?<!\S)[A-Z][^A-Z\s]*+(?!\S)")


def replace_surrogates(text: str) -> str:
    """Join surrogate pairs into their character and turn each lone surrogate into U+FFFD.

    Such text comes from JSON with escaped halves of an emoji; it has no UTF-8 form, which SentencePiece and files need.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def fix_html(text: str) -> str:
    """Undo the remains of HTML and of WikiText's `@-@` (fastai `fix_html`); `<br />` and `\\n` become newlines."""
    return replace_literals(text, LITERALS)


def replace_literals(text: str, literals: Iterable[tuple[str, str]]) -> str:
    """Each pair's first replaced by its second, one pair after the other, and then character references (`&lt;`).

    A decimal character reference of 100 digits or more, leading zeros counted, becomes U+FFFD: no character needs so
    many, and Python refuses to read a number of thousands of digits.
    """
    for old, new in literals:
        text = text.replace(old, new)
    if "&" in text:
        text = html.unescape(_HUGE_REFERENCE.sub("\ufffd", text))
    return text


def replace_rep(text: str) -> str:
    """A character three times or more in a row: `!!!!` becomes ` xxrep 4 ! ` (fastai `replace_rep`)."""
    return CHARACTER_RUN.sub(lambda run: f" {REP} {len(run[0])} {run[1]} ", text)


def replace_wrep(text: str) -> str:
    """A word three times or more in a row: `no no no.` becomes ` xxwrep 3 no .` (fastai `replace_wrep`)."""
    return _WORD_RUN.sub(lambda run: f" {WREP} {len(run[2].split()) + 2} {run[1]} {run[3]}", text)


def spec_add_spaces(text: str) -> str:
    """Spaces around `/`, `#` and the backslash (fastai `spec_add_spaces`)."""
    return _SPACED.sub(r" \1 ", text)


def rm_useless_spaces(text: str) -> str:
    """A run of spaces becomes one space (fastai `rm_useless_spaces`)."""
    return _SPACES.sub(" ", text)


def replace_all_caps(text: str) -> str:
    """A word in capitals: `LOVED` becomes `xxup loved`; a single capital is lowered, unmarked (`replace_all_caps`)."""
    return _ALL_CAPITALS.sub(lambda word: _marked(UP, word[0]), text)


def replace_maj(text: str) -> str:
    """A capitalised word: `Don't` becomes `xxmaj don't` (fastai `replace_maj`)."""
    return _CAPITALISED.sub(lambda word: _marked(MAJ, word[0]), text)


def lowercase(text: str) -> str:
    """Lower case (fastai `lowercase`; its stripping of the ends and its `xxbos` are left to `apply_rules`)."""
    return text.lower()


def _marked(marker: str, word: str) -> str:
    return f"{marker} {word.lower()}" if len(word) > 1 else word.lower()


LITERAL_RULES: Final[tuple[Callable[[str], str], ...]] = (replace_surrogates, fix_html)
REPEAT_RULES: Final[tuple[Callable[[str], str], ...]] = (replace_rep, replace_wrep)
WORD_RULES: Final[tuple[Callable[[str], str], ...]] = (
    spec_add_spaces,
    rm_useless_spaces,
    replace_all_caps,
    replace_maj,
    lowercase,
)
"""The rules after the repeats: each of them looks at one whitespace-delimited word at a time."""


def apply_rules(text: str) -> str:
    """The text as fastai 2 gives it to its tokenizer: all rules in fastai's order, `xxbos ` in front.

    >>> apply_rules("I LOVED this movie!!!! It cost $1000")
    'xxbos i xxup loved this movie xxrep 4 ! xxmaj it cost $1 xxrep 3 0'
    """
    for rule in (*LITERAL_RULES, *REPEAT_RULES, *WORD_RULES):
        text = rule(text)
    return f"{BOS} {text.strip()}"


def join_fields(fields: Sequence[str]) -> str:
    """Several text columns as one text, each behind its mark: `xxfld 1 … xxfld 2 …` (fastai `mark_fields=True`).

    To be applied before the rules, which leave the marks alone. A single field is marked as well.
    """
    return " ".join(f"{FLD} {number} {field}" for number, field in enumerate(fields, start=1))


_NOT_SPECIAL: Final = rf"(?!(?:{'|'.join(SPECIALS)})(?!\S))"
_DROPPED: Final = re.compile(rf"(?<!\S)(?:{PAD}|{BOS}|{EOS})(?!\S) ?")
_CAPITALS_MARK: Final = re.compile(rf"(?<!\S){UP} {_NOT_SPECIAL}(\S+)")
_CAPITAL_MARK: Final = re.compile(rf"(?<!\S){MAJ} {_NOT_SPECIAL}(\S)")
_WORD_RUN_MARK: Final = re.compile(rf"(?<!\S){WREP} ([0-9]{{1,3}}) {_NOT_SPECIAL}(\S{{1,100}})(?!\S)")
_CHARACTER_RUN_MARK: Final = re.compile(rf"(?<!\S){REP} ([0-9]{{1,4}}) (\S)(?!\S)")


def undo_rules(tokens_text: str) -> str:
    """The text to show for a text with marks: `xxbos xxmaj wow xxrep 3 !` becomes `Wow !!!`.

    Undoes `xxmaj`, `xxup`, `xxwrep` (up to 999 words of up to 100 characters) and `xxrep` (up to 9,999 characters),
    drops `xxbos`, `xxeos` and `xxpad`, and leaves a mark that nothing fitting follows, as in a text cut off by a model.

    `undo_rules(apply_rules(text)) == text` for texts made of these, separated by single spaces:
    - words in lower case, capitalised words and words in capitals (two letters or more);
    - one such word 3 to 999 times in a row, each time of letters and digits only, 100 of them at the most;
    - a run of 3 to 9,999 equal characters with spaces around it, not a capital letter;
    - where no word holds `/`, `#`, a backslash, a run of three, or something of HTML that `fix_html` replaces.

    Elsewhere the result is readable but not exact: a run inside a word comes back with spaces around it
    (`so xxrep 3 o` is shown as `so ooo`), mixed case (`McDonald's`) as lower case.
    """
    text = _DROPPED.sub("", tokens_text)
    text = _CAPITALS_MARK.sub(lambda mark: mark[1].upper(), text)
    text = _CAPITAL_MARK.sub(lambda mark: mark[1].upper(), text)
    text = _WORD_RUN_MARK.sub(lambda mark: " ".join([mark[2]] * int(mark[1])), text)
    text = _CHARACTER_RUN_MARK.sub(lambda mark: mark[2] * int(mark[1]), text)
    return text.strip()
