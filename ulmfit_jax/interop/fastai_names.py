"""The names that fastai gives to the parameters of its networks, and the names and layouts that they have here.

A layer of PyTorch holds its matrices as `[out, in]`, here they are `[in, out]`; both have the gates in the order
i, f, g, o, and two biases a layer.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple


class Place(NamedTuple):
    """Where a parameter of fastai belongs here.

    Attributes:
        path: its path in our dictionary, `encoder/lstm_0/input_kernel`.
        transposed: whether the two axes are exchanged.
    """

    path: str
    transposed: bool = False


EMBEDDING: Final = "encoder.weight"
EMBEDDING_COPIES: Final = ("encoder_dp.emb.weight", "encoder_with_dropout.embed.weight")
"""The same matrix once more, inside the embedding dropout of fastai 1 and 2, and of fastai 0.7."""

DECODER_COPY: Final = "1.decoder.weight"
DECODER_BIAS: Final = "1.decoder.bias"


def layer_names(layer: int) -> dict[str, Place]:
    """The parameters of an LSTM layer in fastai's order, by the name that fastai 1 and 2 give them."""
    here = f"encoder/lstm_{layer}"
    return {
        f"rnns.{layer}.weight_hh_l0_raw": Place(f"{here}/recurrent_kernel", transposed=True),
        f"rnns.{layer}.module.weight_ih_l0": Place(f"{here}/input_kernel", transposed=True),
        f"rnns.{layer}.module.bias_ih_l0": Place(f"{here}/input_bias"),
        f"rnns.{layer}.module.bias_hh_l0": Place(f"{here}/recurrent_bias"),
    }


def head_names(index: int) -> dict[str, Place]:
    """The parameters of a block of the classifier's head in fastai's order; `mean` and `variance` are statistics."""
    theirs, norm = f"1.layers.{index}", f"head/norm_{index}"
    return {
        f"{theirs}.0.weight": Place(f"{norm}/scale"),
        f"{theirs}.0.bias": Place(f"{norm}/bias"),
        f"{theirs}.0.running_mean": Place(f"{norm}/mean"),
        f"{theirs}.0.running_var": Place(f"{norm}/variance"),
        f"{theirs}.2.weight": Place(f"head/dense_{index}/kernel", transposed=True),
    }


_RECURRENT: Final = re.compile(r"(rnns\.\d+)\.module\.weight_hh_l0(?:_raw)?")


def without_duplicates(names: set[str]) -> dict[str, str]:
    """The names of an encoder's parameters in any generation, by the names of fastai 1 and 2, each parameter once.

    fastai 0.7 keeps the recurrent matrix before weight drop as `module.weight_hh_l0_raw`. Some versions save a matrix
    after weight drop beside it, `module.weight_hh_l0`, which is left out; where it stands alone, it is the matrix.
    """
    renamed: dict[str, str] = {}
    for name in sorted(names):
        match = _RECURRENT.fullmatch(name)
        if match is None:
            renamed[name] = name
            continue
        raw = {f"{match[1]}.weight_hh_l0_raw", f"{match[1]}.module.weight_hh_l0_raw"}
        if name in raw or not raw & names:
            renamed[f"{match[1]}.weight_hh_l0_raw"] = name
    return renamed
