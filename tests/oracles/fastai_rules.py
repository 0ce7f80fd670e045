"""The rules of fastai 2, each regular expression in fastai's own form: obvious, and quadratic on long words."""

from __future__ import annotations

import html
import re

LITERALS = {
    "#39;": "'",
    "amp;": "&",
    "#146;": "'",
    "nbsp;": " ",
    "#36;": "$",
    "\\n": "\n",
    "quot;": "'",
    "<br />": "\n",
    '\\"': '"',
    "<unk>": "xxunk",
    " @.@ ": ".",
    " @-@ ": "-",
    "...": " …",
}


def fastai_rules(text: str) -> str:
    for old, new in LITERALS.items():
        text = text.replace(old, new)
    text = html.unescape(text)
    text = re.sub(r"(\S)(\1{2,})", lambda m: f" xxrep {len(m[2]) + 1} {m[1]} ", text)
    text = re.sub(
        r"(?:\s|^)(\w+)\s+((?:\1\s+)+)\1(\s|\W|$)",
        lambda m: f" xxwrep {len(m[2].split()) + 2} {m[1]} {m[3]}",
        text,
    )
    text = re.sub(r"([/#\\])", r" \1 ", text)
    text = re.sub(r" {2,}", " ", text)
    text = re.sub(r"(\s|^)([A-Z]+[^a-z\s]*)(?=(\s|$))", lambda m: m[1] + marked("xxup", m[2]), text)
    text = re.sub(r"(\s|^)([A-Z][^A-Z\s]*)(?=(\s|$))", lambda m: m[1] + marked("xxmaj", m[2]), text)
    return "xxbos " + text.lower().strip()


def marked(mark: str, word: str) -> str:
    return f"{mark} {word.lower()}" if len(word) > 1 else word.lower()
