"""Continue a text with a model that `ulmfit export` wrote: python continue_text.py NAME.json "How it begins" [TOKENS]

Takes the most probable token again and again, with the network's state carried on. Needs jax, flatbuffers (with which
JAX reads the program), numpy and sentencepiece; not ulmfit-jax. Beside this file lie NAME.stablehlo (network and
parameters), NAME.json (what to know of them), NAME_tokenizer/, and text_rules.py (standard library only).
"""

import json
import sys
from pathlib import Path

import jax
import numpy as np
import sentencepiece
from text_rules import BOS_ID, PAD_ID, UNK, UNK_ID, apply_rules, rm_useless_spaces, undo_rules

if len(sys.argv) < 2:
    sys.exit('python continue_text.py NAME.json "How it begins" [TOKENS]')
file = Path(sys.argv[1])
model = json.loads(file.read_text("utf-8"))
network = jax.jit(jax.export.deserialize(bytearray(file.with_name(model["program"]).read_bytes())).call)
pieces = sentencepiece.SentencePieceProcessor(model_file=str(file.parent / model["tokenizer"]["file"]))


def continued(text: str, count: int) -> list[int]:
    """The ids of a text, and of `count` tokens that follow it."""
    words = apply_rules(text).split()[1:]
    ids = [BOS_ID, *(i for word in words for i in ([UNK_ID] if word == UNK else pieces.Encode(word)))]
    state = [np.zeros((1, size), np.float32) for size in model["state_sizes"]]
    unread = ids.copy()
    for _ in range(count):
        logits, state = network(np.array(unread, np.int32)[:, None], state)
        scores = np.array(logits[0])
        scores[[UNK_ID, PAD_ID, BOS_ID]] = -np.inf  # they stand for no text
        unread = [int(scores.argmax())]
        ids += unread
    return ids


def shown(ids: list[int]) -> str:
    """The text of ids."""
    listed = [pieces.IdToPiece(i) for i in ids]
    spaced = "".join(f" {piece} " if i < model["specials"] else piece for i, piece in zip(ids, listed, strict=True))
    return undo_rules(rm_useless_spaces(spaced.replace("▁", " ")))


if len(sys.argv) > 2:
    print(shown(continued(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 20)))
