"""The small JSON files of a model folder, read without trusting their size or their form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ulmfit_jax.errors import ArtifactError

LARGEST = 16 << 20
"""Bytes; a manifest or configuration has a few thousand, and some JSON takes twenty times its bytes of memory."""


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        ArtifactError: it is missing, larger than `LARGEST`, or holds something else.
    """
    if not path.is_file():
        raise ArtifactError(f"{path} is missing: copy the whole model folder again")
    size = path.stat().st_size
    if size > LARGEST:
        raise ArtifactError(f"{path} has {size:,} bytes, which is far too many: do not use this model")
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:100]
        raise ArtifactError(f"{path} cannot be read ({reason}): copy the model folder again") from error
    if not isinstance(content, dict):
        raise ArtifactError(f"{path} cannot be read (it is not what ulmfit-jax writes): copy the model folder again")
    return content
