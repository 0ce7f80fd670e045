"""Documents laid out in chunks as `ulmfit_jax.data.batches` does, with as many chunks as a test wants."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oracles.sorted_batches import padded

PAD = 1


def laid_out(documents: Sequence[Sequence[int]], bptt: int, chunks: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Tokens [chunks, bptt, batch] and lengths [batch]; by default no more chunks than the longest document needs."""
    needed = max(-(-len(document) // bptt) for document in documents)
    rows = [padded(document, (chunks or needed) * bptt, bptt, PAD) for document in documents]
    tokens = np.array(rows, np.int32).reshape(len(documents), -1, bptt).transpose(1, 2, 0)
    return tokens, np.array([len(document) for document in documents], np.int32)
