"""The commands and programs of the documentation run as they stand, and print what the pages say."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

import documented
from ulmfit_jax import LanguageModel
from ulmfit_jax.artifact import save_artifact
from ulmfit_jax.nn.architecture import preset
from ulmfit_jax.nn.parameters import to_numpy
from ulmfit_jax.pretrained import SHIPPED, model_folder
from ulmfit_jax.training.language_model import language_model_definition

ROOT = Path(__file__).parents[1]
REVIEWS = ROOT / "experiments" / "data" / "everyday_reviews"
TESTS = ROOT / "tests"
PAGES = [ROOT / "docs" / "tutorial.md", *sorted((ROOT / "docs" / "how-to").glob("*.md"))]


def ran(page: Path, folder: Path, *names: str) -> str:
    """What the blocks of a page print when they are run in `folder`, the fixture's, on one device, without colours;
    `names` is a file of what its programs take as given."""
    environment = dict(os.environ)
    environment["XLA_FLAGS"] = re.sub(r"--xla_force_host_platform_device_count=\d+", "", environment["XLA_FLAGS"])
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["PYTHONPATH"] = os.pathsep.join([str(folder.with_name("start")), str(ROOT)])
    command = [sys.executable, "-u", str(TESTS / "documented.py"), str(page), *names]
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


NAMES = """
from ulmfit_jax.data import read_dataset
data = read_dataset("reviews.csv")
texts, labels, more_texts = data.texts, data.labels, [line for line in open("more.txt", encoding="utf-8")]
other_texts = more_texts[:4]
"""
"""What the programs of the README take as given."""


STAND_IN = """
from pathlib import Path
import ulmfit_jax.pretrained
ulmfit_jax.pretrained._PLACES = (Path({folder!r}),)
"""
"""Python runs it at its start, in the shell's commands too: a tiny model bears the name of the shipped one. It has that
one's tokeniser, so that texts are cut as the pages show. `make demo` and `test_pretrained.py` start from the shipped
one itself; the README and the tutorial would train for a quarter of an hour from it."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder, for whose programs the shipped model is a tiny one."""
    shipped = LanguageModel.load(SHIPPED).artifact
    sizes = preset("tiny", shipped.architecture.vocabulary_size)
    parameters, _ = language_model_definition(sizes).initialise(0)
    models = tmp_path / "shipped"
    save_artifact(replace(shipped, architecture=sizes, parameters=to_numpy(parameters)), models / SHIPPED)
    for name in ("imdb-small", "imdb-small-backward"):
        (models / name).symlink_to(model_folder(name))
    start = tmp_path / "start"
    start.mkdir()
    (start / "sitecustomize.py").write_text(STAND_IN.format(folder=str(models)), "utf-8")
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def test_the_readme_runs_as_it_stands(folder: Path) -> None:
    """With few texts."""
    for name, source, lines in (
        ("reviews.csv", "train.csv", 25),
        ("test.csv", "test.csv", 9),
        ("more.txt", "unlabeled.txt", 8),
    ):
        text = (REVIEWS / source).read_text("utf-8").splitlines()[:lines]
        (folder / name).write_text("\n".join(text) + "\n", "utf-8")
    (folder / "names.py").write_text(NAMES, "utf-8")
    printed = ran(ROOT / "README.md", folder, "names.py")
    blocks = documented.blocks(ROOT / "README.md")
    assert sum(block.reason is None and block.language in ("sh", "python") for block in blocks) >= 4
    assert {block.language for block in blocks if block.reason} == {"sh"}
    assert (folder / "run" / "report.html").is_file()
    assert '"label": ' in printed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_of_a_page_runs_and_prints_what_stands_below_it(page: Path, folder: Path) -> None:
    shutil.copytree(REVIEWS, folder / "reviews")
    printed = ran(page, folder)
    blocks = documented.blocks(page)
    for block, below in pairwise(blocks):
        if below.language == "text":
            shown = printed.split(documented.heading(page, block) + "\n")[1].split("\n===")[0]
            assert shown.strip() == below.code.strip(), documented.heading(page, below)


def test_what_is_not_run_says_why() -> None:
    left_out = [block for page in PAGES for block in documented.blocks(page) if block.reason]
    assert len(left_out) <= 2  # the reader's copy of the data, and the server
    assert all(len(block.reason or "") > 20 for block in left_out)
