"""A program is started again once, where that gives it huge pages."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from ulmfit_jax import huge_pages

PROGRAM = """
import os, pathlib, platform, sys
from ulmfit_jax import huge_pages
huge_pages._SETTING = pathlib.Path(sys.argv[1])
platform.libc_ver = lambda: ("glibc", "2.36")
print(os.getpid(), sys.argv[2:], os.environ.get("GLIBC_TUNABLES"), flush=True)
huge_pages.restart_with_huge_pages()
print("computes")
"""


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Linux where huge pages are to be asked for, with a glibc that can."""
    path = tmp_path / "enabled"
    path.write_text("always [madvise] never\n")
    monkeypatch.setattr(huge_pages, "_SETTING", path)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.35"))
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    return path


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux replaces a process by another program")
def test_a_program_is_started_again_once_under_its_number_and_with_its_arguments(setting: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(setting), "a b", "--c"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    assert len(lines) == 3
    first, again = (line.split(" ", 1) for line in lines[:2])
    assert first[0] == again[0]
    assert first[1] == "['a b', '--c'] None"
    assert again[1] == "['a b', '--c'] glibc.malloc.hugetlb=1"
    assert lines[2] == "computes"


def test_it_would_help_where_pages_have_to_be_asked_for(setting: Path) -> None:
    assert huge_pages.would_help()


@pytest.mark.parametrize("content", ["[always] madvise never\n", "always madvise [never]\n", None])
def test_it_would_not_help_where_pages_are_off_or_on_for_all(setting: Path, content: str | None) -> None:
    setting.write_text(content) if content is not None else setting.unlink()
    assert not huge_pages.would_help()


@pytest.mark.parametrize("libc", [("glibc", "2.34"), ("", ""), ("glibc", "unknown")])
def test_it_would_not_help_with_another_library(
    setting: Path, monkeypatch: pytest.MonkeyPatch, libc: tuple[str, str]
) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: libc)
    assert not huge_pages.would_help()


def test_whoever_has_set_the_variable_decides(setting: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIBC_TUNABLES", "")
    assert not huge_pages.would_help()
