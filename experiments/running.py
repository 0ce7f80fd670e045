"""How every experiment begins, with huge pages, and ends on a mistake of its user: one sentence, exit code 2."""

from __future__ import annotations

import sys
from collections.abc import Callable

from ulmfit_jax.errors import UlmfitError
from ulmfit_jax.huge_pages import restart_with_huge_pages


def run_or_explain(name: str, experiment: Callable[[], None]) -> None:
    """Run `experiment`; what the library refuses becomes a sentence on standard error that begins with `name`."""
    restart_with_huge_pages()
    try:
        experiment()
    except UlmfitError as error:
        print(f"{name}: {error}", file=sys.stderr)
        raise SystemExit(2) from None
