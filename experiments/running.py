"""How every experiment begins, with huge pages, and ends early: one sentence, and no traceback, when its user made a
mistake (exit code 2) or stopped it (128 and the signal's number). And what one measures, and keeps of it so far."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from ulmfit_jax.errors import ConfigError, UlmfitError
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


def error_rate(scores: np.ndarray, truth: np.ndarray) -> float:
    """Share of the documents whose class, of `truth` `[documents]`, has not the highest of the scores `[documents,
    classes]`."""
    return float((scores.argmax(axis=1) != truth).mean())


def mean_and_spread(values: Sequence[float] | np.ndarray, digits: int) -> str:
    """A table's cell: the mean, and where there are several values their standard deviation."""
    spread = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{spread}"


class Results(dict[str, Any]):
    """What was measured, by name, kept in a JSON file with the options that it was measured with."""

    def __init__(self, place: Path, options: dict[str, Any]):
        """Read what an earlier call has left at `place`.

        Raises:
            ConfigError: it had other options.
        """
        super().__init__()
        self.place, self.options = place, json.loads(json.dumps(options, default=str))
        if place.exists():
            found = json.loads(place.read_text("utf-8"))
            if found["options"] != self.options:
                raise ConfigError(f"{place} was measured with {found['options']}: choose another --out")
            self.update(found["results"])
        else:  # before anything else is left there, which would be taken for that of other options
            place.parent.mkdir(parents=True, exist_ok=True)
            self.add({})

    def add(self, results: dict[str, Any]) -> None:
        """Keep more of them."""
        self.update(results)
        part = self.place.with_name(self.place.name + ".part")
        part.write_text(json.dumps({"options": self.options, "results": self}, indent=1) + "\n", "utf-8")
        part.replace(self.place)
