"""The experiments as modules, as their own folder is on the path when they are run."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def imported(name: str) -> ModuleType:
    """The experiment `name`, which imports its neighbours."""
    sys.path.insert(0, str(EXPERIMENTS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)
