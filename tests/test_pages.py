"""The commands and programs of the documentation run as they stand, and print what the pages say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

import documented

ROOT = Path(__file__).parents[1]
REVIEWS = ROOT / "experiments" / "data" / "everyday_reviews"
TESTS = ROOT / "tests"
PAGES = [ROOT / "docs" / "tutorial.md", *sorted((ROOT / "docs" / "how-to").glob("*.md"))]


def ran(page: Path, folder: Path) -> str:
    """What the blocks of a page print when they are run in `folder`, on one device, without colours."""
    environment = dict(os.environ)
    environment["XLA_FLAGS"] = re.sub(r"--xla_force_host_platform_device_count=\d+", "", environment["XLA_FLAGS"])
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, "-u", str(TESTS / "documented.py"), str(page)]
    result = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        timeout=900,
        check=False,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_of_a_page_runs_and_prints_what_stands_below_it(page: Path, tmp_path: Path) -> None:
    shutil.copytree(REVIEWS, tmp_path / "reviews")
    printed = ran(page, tmp_path)
    blocks = documented.blocks(page)
    for block, below in pairwise(blocks):
        if below.language == "text":
            shown = printed.split(documented.heading(page, block) + "\n")[1].split("\n===")[0]
            assert shown.strip() == below.code.strip(), documented.heading(page, below)


def test_what_is_not_run_says_why() -> None:
    left_out = [block for page in PAGES for block in documented.blocks(page) if block.reason]
    assert len(left_out) <= 2  # the reader's copy of the data, and the server
    assert all(len(block.reason or "") > 20 for block in left_out)
