"""What goes to the console besides results: notes on standard error, and nothing from other libraries."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from ulmfit_jax.streams import silence


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """While this lasts, the log messages of other libraries are dropped and this library's warnings become notes."""
    # Read by TensorFlow's C++ core and by gRPC when they are loaded; what the user has set stays.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    import absl.logging  # Orbax and TFDS log through it

    _drop_late_callbacks()
    # Of a full disk the command itself says what to do.
    warnings.filterwarnings("ignore", "Error writing persistent compilation cache entry", UserWarning)
    verbosity = absl.logging.get_verbosity()
    absl.logging.set_verbosity(absl.logging.FATAL)
    asyncio = logging.getLogger("asyncio")  # of a read in Orbax that failed, it reports every other that failed with it
    level = asyncio.level
    asyncio.setLevel(logging.CRITICAL)
    logger, handler = logging.getLogger("ulmfit_jax"), _Notes(logging.WARNING)
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
        asyncio.setLevel(level)
        absl.logging.set_verbosity(verbosity)


def _drop_late_callbacks() -> None:
    """Do not show what TensorStore's threads report to an event loop that has ended because a read or write failed.

    The failure itself reaches the caller as an exception. The reports come at any time, up to the process's end, so the
    hook stays.
    """
    show_others = sys.unraisablehook
    if getattr(show_others, "drops_late_callbacks", False):
        return

    def hook(report: sys.UnraisableHookArgs) -> None:
        if not (report.exc_type is RuntimeError and str(report.exc_value) == "Event loop is closed"):
            show_others(report)

    hook.drops_late_callbacks = True  # type: ignore[attr-defined]
    sys.unraisablehook = hook


class _Notes(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        note(record.getMessage())


def note(text: str) -> None:
    """Print a line to standard error, which is for people; standard output is for results. Where nobody reads it any
    more, the work goes on."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)


def show(text: str, end: str = "\n") -> None:
    """Print a result, at once where it is not a whole line. What the console's encoding lacks is shown as an escape
    instead of failing."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), end=end, flush=end != "\n")


def colours_are_shown() -> bool:
    """Whether standard output is a terminal with colours; the variable NO_COLOR, if it is not empty, forbids them."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def show_json(value: dict[str, Any]) -> None:
    """Print one line of JSON: readable characters where the console's encoding has them all, else escapes."""
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "")
    show(json.dumps(plain(value), ensure_ascii=encoding != "utf8", allow_nan=False))


def plain(value: Any) -> Any:
    """The same value as JSON can hold it: NumPy scalars and arrays as numbers and lists, what is not finite as None.

    A number of 32 bits has as many digits as tell it from its neighbours, not the 17 of 64 bits.
    """
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if str(getattr(value, "dtype", "")) == "float32":
        value = [plain(entry) for entry in value] if value.ndim else float(str(value))
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
