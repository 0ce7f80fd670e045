"""Completion scripts: the shell reads them, and they complete."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Outcome

from ulmfit_jax.cli.main import COMMANDS

Run = Callable[..., Outcome]


@pytest.fixture
def completes(tmp_path: Path, ulmfit: Run) -> Callable[..., set[str]]:
    """What bash offers for the last of some words."""
    if shutil.which("bash") is None:
        pytest.skip("no bash here")
    script = tmp_path / "ulmfit.bash"
    outcome = ulmfit("completion", "bash")
    assert (outcome.code, outcome.err) == (0, "")
    script.write_text(outcome.out, "utf-8")

    def offers(*words: str) -> set[str]:
        quoted = " ".join(f"'{word}'" for word in ("ulmfit", *words))
        last = f"COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _shtab_ulmfit"
        code = f"source {script}; {last}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        result = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
        assert result.stderr == ""
        return {line.strip() for line in result.stdout.splitlines()}

    return offers


def test_bash_completes_commands_options_values_and_files(completes: Callable[..., set[str]], tmp_path: Path) -> None:
    assert completes("fine") == {"finetune-lm"}
    assert set(COMMANDS) <= completes("")
    assert {"--lm-epochs", "--lm-learning-rate"} <= completes("train", "--lm-")
    assert completes("train", "--no-") == {""}  # not shown in help either
    assert completes("train", "--preset", "t") == {"tiny"}
    (tmp_path / "reviews.csv").touch()
    assert completes("train", "rev") == {"reviews.csv"}


def test_zsh_script_names_every_command(ulmfit: Run, tmp_path: Path) -> None:
    outcome = ulmfit("completion", "zsh")
    assert outcome.code == 0
    assert outcome.out.startswith("#compdef ulmfit")
    assert all(name in outcome.out for name in COMMANDS)
    if shutil.which("zsh"):
        (tmp_path / "_ulmfit").write_text(outcome.out, "utf-8")
        assert subprocess.run(["zsh", "-n", str(tmp_path / "_ulmfit")], check=False).returncode == 0


def test_another_shell_is_refused(ulmfit: Run) -> None:
    outcome = ulmfit("completion", "fish")
    assert outcome.code == 2
    assert "invalid choice: 'fish'" in outcome.err
    assert outcome.err.count("\n") == 1
