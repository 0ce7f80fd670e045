"""torch and spaCy are optional: nothing imports them before they are needed, and reading weights never needs torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def printed(command: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_package_imports_neither() -> None:
    modules = "ulmfit_jax.language_model, ulmfit_jax.text_classifier, ulmfit_jax.interop, ulmfit_jax.cli.main"
    assert printed(f"import sys, {modules}; print(sorted({{'torch', 'spacy', 'fastai'}} & set(sys.modules)))") == "[]"


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_weights_are_read_without_torch(tmp_path: Path, legacy: bool) -> None:
    files = pytest.importorskip("fastai_files")
    words = files.VOCABULARIES["fastai-2"]
    weights, _ = files.write(tmp_path, files.TorchLanguageModel(len(words)).state("fastai-2"), words, legacy=legacy)
    read = "from pathlib import Path; from ulmfit_jax.interop.fastai_weights import read_weights"
    block = "import sys; sys.modules['torch'] = None"
    assert printed(f"{block}; {read}; print(read_weights(Path({str(weights)!r})).architecture.hidden_size)") == "10"
