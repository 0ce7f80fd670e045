"""Classify texts with a model that `ulmfit export` wrote: python classify.py NAME.json "a text" "another one"

Needs jax, flatbuffers (with which JAX reads the program), numpy and sentencepiece; not ulmfit-jax. Beside this file lie
NAME.stablehlo (network and parameters), NAME.json (what to know of them), NAME_tokenizer/, and text_rules.py (what
happens to a text before it is cut into pieces; standard library only). Shapes are compiled once each.
"""

import json
import sys
from pathlib import Path

import jax
import numpy as np
import sentencepiece
from text_rules import BOS_ID, PAD_ID, UNK, UNK_ID, apply_rules

if len(sys.argv) < 2 or not sys.argv[1].endswith(".json"):
    sys.exit('python classify.py NAME.json "a text" "another one"')
file = Path(sys.argv[1])
model = json.loads(file.read_text("utf-8"))
network = jax.jit(jax.export.deserialize(bytearray(file.with_name(model["program"]).read_bytes())).call)
pieces = sentencepiece.SentencePieceProcessor(model_file=str(file.parent / model["tokenizer"]["file"]))


def ids_of(text: str) -> list[int]:
    """The ids of a text: the rules, then each word by itself in pieces."""
    words = apply_rules(text).split()[1:]
    ids = [BOS_ID, *(i for word in words for i in ([UNK_ID] if word == UNK else pieces.Encode(word)))]
    return ids[::-1] if model["backwards"] else ids


def probabilities(texts: list[str]) -> np.ndarray:
    """Probabilities `[texts, classes]`; each text ends in the last chunk of tokens `[chunks, bptt, texts]`."""
    documents, bptt = [ids_of(text) for text in texts], model["bptt"]
    needed = [-(-len(ids) // bptt) for ids in documents]
    chunks = max(model["min_chunks"], 1 << (max(needed) - 1).bit_length())
    tokens = np.full((len(texts), chunks * bptt), PAD_ID, np.int32)
    for row, ids, count in zip(tokens, documents, needed, strict=True):
        row[(chunks - count) * bptt :][: len(ids)] = ids
    lengths = np.array([len(ids) for ids in documents], np.int32)
    return np.asarray(network(tokens.reshape(len(texts), chunks, bptt).transpose(1, 2, 0), lengths))


if len(sys.argv) > 2:
    for row in probabilities(sys.argv[2:]):
        given = [name for name, p in zip(model["labels"], row, strict=True) if p > 0.5]
        label = ", ".join(given) if model.get("multi_label") else model["labels"][row.argmax()]
        print(label, json.dumps(dict(zip(model["labels"], row.tolist(), strict=True))))
