"""Imports fastai, where it is installed, before any test does: its import warns, and warnings are errors here."""

from __future__ import annotations

import importlib.util
import warnings

if importlib.util.find_spec("fastai") is not None:
    with warnings.catch_warnings():
        # fastcore and fastai compile functions by a call that torch has deprecated, and set an option of pandas that
        # has no effect since version 3.
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.script` is deprecated", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message=r"The 'mode\.chained_assignment' option is deprecated")
        import fastai.text.all  # noqa: F401
