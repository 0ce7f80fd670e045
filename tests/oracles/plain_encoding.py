"""Text to ids the long way: all rules on the whole text, then one word after the other."""

from __future__ import annotations

import sentencepiece

from ulmfit_jax.text.rules import SPECIALS, apply_rules
from ulmfit_jax.text.words import split_words


def sentencepiece_ids(model_proto: bytes, text: str) -> list[int]:
    processor = sentencepiece.SentencePieceProcessor(model_proto=model_proto)
    ids: list[int] = []
    for word in apply_rules(text).split():
        ids += [0] if word == "xxunk" else processor.encode(word)
    return ids


def word_ids(tokens: tuple[str, ...], text: str) -> list[int]:
    ids = {token: i for i, token in enumerate(tokens) if token != "xxfake"} | {"xxpad": SPECIALS.index("xxunk")}
    return [ids.get(word, 0) for word in split_words(apply_rules(text))]
