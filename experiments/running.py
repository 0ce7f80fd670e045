"""How every experiment begins, with huge pages, and ends early: one sentence, and no traceback, when its user made a
mistake (exit code 2) or stopped it (128 and the signal's number)."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from ulmfit_jax.errors import UlmfitError
from ulmfit_jax.huge_pages import restart_with_huge_pages


def run_or_explain(name: str, experiment: Callable[[], None]) -> None:
    """Run `experiment`; what the library refuses becomes a sentence on standard error that begins with `name`."""
    restart_with_huge_pages()
    try:
        experiment()
    except UlmfitError as error:
        _end(f"{name}: {error}", 2)
    except KeyboardInterrupt as error:  # in training it says that its state is saved
        _end(f"{name}: {str(error) or 'interrupted'}", 128 + getattr(error, "signal", signal.SIGINT))


def _end(sentence: str, code: int) -> NoReturn:
    print(sentence, file=sys.stderr)
    raise SystemExit(code) from None
