"""A tokeniser's own files beside an exported model, in the folder `NAME_tokenizer`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ulmfit_jax.interop.new_files import Writer, holds
from ulmfit_jax.text.tokenizer import Tokenizer


def tokenizer_folder(model: Path) -> Path:
    """The folder of the tokeniser that belongs to the exported file `model`."""
    return model.with_name(f"{model.stem}_tokenizer")


def tokenizer_writers(tokenizer: Tokenizer, model: Path) -> dict[Path, Writer]:
    """What `Tokenizer.save` writes, as writers of files in `tokenizer_folder(model)`."""
    with tempfile.TemporaryDirectory() as place:
        tokenizer.save(Path(place))
        contents = {path.name: path.read_bytes() for path in sorted(Path(place).iterdir())}
    return {tokenizer_folder(model) / name: holds(content) for name, content in contents.items()}
