"""The text rules of fastai 0.7 (`fastai.text.Tokenizer`) and of the paper's scripts, which prepare its texts.

They are for vocabularies that were made with them, such as that of the paper's own model. Marks are written under this
package's names (`xxup` for `t_up`, `xxrep` for `tk_rep`, `xxbos` for `xbos`, ...), so that one vocabulary of special
tokens does for all generations; capitals have no mark but `xxup`. Two things differ from the scripts: the newline that
they put before `xbos` is left out, and the rules never act on what stands in front, so that `xxbos` is always the first
token.
"""

from __future__ import annotations

import re
from typing import Final

from ulmfit_jax.text.rules import (
    BOS,
    EOS,
    FLD,
    LITERALS,
    PAD,
    REP,
    UNK,
    UP,
    WREP,
    replace_literals,
    replace_surrogates,
    rm_useless_spaces,
)
from ulmfit_jax.text.rules_fastai1 import replace_runs_of_four

NAMES_FASTAI07: Final = {
    "_unk_": UNK,
    "_pad_": PAD,
    "_bos_": BOS,
    "xbos": BOS,
    "_eos_": EOS,
    "xfld": FLD,
    "tk_rep": REP,
    "tk_wrep": WREP,
    "t_up": UP,
}
"""The special tokens of fastai 0.7 and the paper's scripts, and their names here. Of two with one name, texts have the
later one."""

OWN_TOKENS: Final = ("<eos>", "<bos>", "<unk>")
"""What fastai 0.7's tokenizer never cuts; they are ordinary words."""

_LITERALS: Final = (*((old, "u_n" if old == "<unk>" else new) for old, new in LITERALS if old != "..."), ("\\", " \\ "))
_WORDS_AND_GAPS: Final = re.compile(r"\w+|\W+")
_SPACED: Final = re.compile(r"([/#])")
_BREAK: Final = re.compile(r"<\s*br\s*/?>")


def apply_rules_fastai07(text: str) -> str:
    """The text as fastai 0.7 gives it to its tokenizer, `xxbos xxfld 1 ` in front (no `xxfld` if it has one already).

    >>> apply_rules_fastai07("I LOVED this, OK? <unk>!!!!")
    'xxbos xxfld 1 i xxup loved this, ok? u_n xxrep 4 ! '
    """
    text = replace_literals(replace_surrogates(text), _LITERALS)
    text = replace_runs_of_four(rm_useless_spaces(text))
    text = _SPACED.sub(r" \1 ", _WORDS_AND_GAPS.sub(_lowered, text))
    front = BOS if text.startswith(f"{FLD} ") else f"{BOS} {FLD} 1"
    return _BREAK.sub("\n", rm_useless_spaces(f"{front} {text}"))


def _lowered(part: re.Match[str]) -> str:
    """A word, or what stands between words, in lower case; marked if it was three capitals or more."""
    capitals = len(part[0]) > 2 and part[0].isupper()
    return f" {UP} {part[0].lower()}" if capitals else part[0].lower()
