"""The code blocks of a page of the documentation, run as they stand, in order, in the current folder.

    python -u tests/documented.py PAGE.md [NAMES.py]   # prints a line before each block, and what the block prints

NAMES.py is run first: its names are what the programs of the page take as given.

Blocks ```python share their names, as in a notebook; each block ```sh is a script of its own, which ends at the first
command that fails. A block after a line `<!-- not run: REASON -->` is left out. Of the other blocks, ```text is the
exact output of the block before it; ```output shows figures or texts that differ from machine to machine.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n+)?```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A block, the line where it begins, and why it is not run, if so."""

    language: str
    code: str
    line: int
    reason: str | None


def blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    return [
        Block(match["language"], match["code"], text.count("\n", 0, match.start("language")) + 1, match["reason"])
        for match in _FENCE.finditer(text)
    ]


def heading(page: Path, block: Block) -> str:
    return f"=== {page.name}, line {block.line}"


def run(page: Path, names: dict[str, Any]) -> None:
    for block in blocks(page):
        if block.reason or block.language not in ("python", "sh"):
            continue
        print(heading(page, block), flush=True)
        if block.language == "sh":
            subprocess.run(["bash", "-euo", "pipefail", "-c", block.code], check=True)
        else:
            # The lines of a traceback are those of the page.
            tree = ast.increment_lineno(ast.parse(block.code), block.line)
            exec(compile(tree, str(page), "exec"), names)


if __name__ == "__main__":
    given: dict[str, Any] = {"__name__": "__main__"}
    for file in sys.argv[2:]:
        exec(compile(Path(file).read_text("utf-8"), file, "exec"), given)
    run(Path(sys.argv[1]), given)
