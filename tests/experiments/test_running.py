"""How an experiment ends early, with one sentence, an exit code and no traceback, and what it keeps."""

from __future__ import annotations

import subprocess
import sys

import pytest
from scripts import EXPERIMENTS, imported

from ulmfit_jax import ConfigError


@pytest.mark.parametrize(
    ("error", "sentence", "code"),
    [
        ("DataError('the texts are empty')", "study: the texts are empty", 2),
        ("TrainingInterrupted(15)", "study: training was interrupted by SIGTERM; its state is saved", 143),
        ("KeyboardInterrupt()", "study: interrupted", 130),
    ],
)
def test_an_experiment_that_ends_early_says_why_in_a_sentence(error, sentence, code):
    program = (
        "from running import run_or_explain\n"
        "from ulmfit_jax.errors import DataError\n"
        "from ulmfit_jax.training.interruption import TrainingInterrupted\n"
        f"def experiment():\n    raise {error}\n"
        "run_or_explain('study', experiment)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=EXPERIMENTS, capture_output=True, text=True, timeout=120, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, "", sentence + "\n")


def test_results_are_kept_with_their_options(tmp_path):
    running = imported("running")
    results = running.Results(tmp_path / "new" / "cells.json", {"model": tmp_path, "epochs": (1, 2)})
    assert results == {}
    with pytest.raises(ConfigError, match=r"was measured with .*: choose another --out"):
        running.Results(tmp_path / "new" / "cells.json", {})  # also before anything is measured
    results.add({"a": 0.5})
    results.add({"b": 0.25})
    again = running.Results(tmp_path / "new" / "cells.json", {"model": tmp_path, "epochs": (1, 2)})
    assert again == {"a": 0.5, "b": 0.25}
    with pytest.raises(ConfigError, match=r"was measured with .*: choose another --out"):
        running.Results(tmp_path / "new" / "cells.json", {"model": tmp_path, "epochs": (1, 1)})
    assert [place.name for place in (tmp_path / "new").iterdir()] == ["cells.json"]
