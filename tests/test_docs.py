"""What the documentation names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGES = sorted((TESTS.parent / "docs").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tests_beside_the_promises_exist(page: Path) -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", page.read_text("utf-8"))
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (TESTS / file).is_file() or f"\ndef {name}(" not in (TESTS / file).read_text("utf-8")
    ]
    assert not missing
    assert named or page.name != "reliability.md"


def test_every_promise_has_a_test_beside_it() -> None:
    """In each table of promises; the others are figures."""
    rows = (TESTS.parent / "docs" / "reliability.md").read_text("utf-8").splitlines()
    promises, in_table = [], False
    for row in rows:
        in_table = row == "| promise | test |" or (in_table and row.startswith("|"))
        if in_table and row not in ("| promise | test |", "|---|---|"):
            promises.append(row)
    assert len(promises) > 40
    assert [row for row in promises if not re.search(r"`[\w/]+\.py::\w+`", row)] == []


def test_every_part_of_the_method_page_is_a_name_in_the_code() -> None:
    """`nn.recurrence.recurrence` and the like: a module of the package, or a name in one."""
    text = (TESTS.parent / "docs" / "method.md").read_text("utf-8")
    package = TESTS.parent / "ulmfit_jax"
    named = set(re.findall(r"`((?:text|data|nn|optim|training)\.[\w.]+)`", text))
    assert len(named) > 20
    for name in named:
        parts = name.split(".")
        prefixes = [package.joinpath(*parts[:n]).with_suffix(".py") for n in range(1, len(parts) + 1)]
        depth = max((n for n, path in enumerate(prefixes, 1) if path.is_file()), default=0)
        assert depth or package.joinpath(*parts).is_dir(), name
        module = package.joinpath(*parts[:depth]).with_suffix(".py")
        for part in parts[depth:]:
            assert re.search(rf"\b{part}\b", module.read_text("utf-8")), name
