"""The names that this package has for fastai's parameters."""

from __future__ import annotations

import re

_NAMES = [
    (r"0\.encoder\.weight", "encoder/embedding"),
    (r"0\.rnns\.(\d+)\.module\.weight_ih_l0", r"encoder/lstm_\1/input_kernel"),
    (r"0\.rnns\.(\d+)\.weight_hh_l0_raw", r"encoder/lstm_\1/recurrent_kernel"),
    (r"0\.rnns\.(\d+)\.module\.bias_ih_l0", r"encoder/lstm_\1/input_bias"),
    (r"0\.rnns\.(\d+)\.module\.bias_hh_l0", r"encoder/lstm_\1/recurrent_bias"),
    (r"1\.decoder\.bias", "decoder/bias"),
    (r"1\.layers\.(\d+)\.0\.weight", r"head/norm_\1/scale"),
    (r"1\.layers\.(\d+)\.0\.bias", r"head/norm_\1/bias"),
    (r"1\.layers\.(\d+)\.[12]\.weight", r"head/dense_\1/kernel"),  # 1 where there is no dropout in between
]


def our_path(name: str) -> str:
    """`encoder/lstm_1/input_bias` for `0.rnns.1.module.bias_ih_l0`, in a classifier `0.module.rnns.1.…`."""
    name = re.sub(r"^0\.module\.", "0.", name)
    (path,) = (re.sub(pattern, ours, name) for pattern, ours in _NAMES if re.fullmatch(pattern, name))
    return path
