"""Compiled programs: kept in a run's folder, and let go of where a process has too many.

A run that goes on, or a stage of the same shapes, compiles nothing again.

JAX's persistent compilation cache, in the folder `compiled/` of the run, apart for each kind of machine: a program that
one processor's compiler wrote may stop another one with an illegal instruction. What is in the folder is machine code;
it can be deleted at any time, and in a folder that came from somebody else it should be.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import platform
import warnings
from collections.abc import Iterator
from pathlib import Path

import jax
import jaxlib
from jax.experimental.compilation_cache import compilation_cache

_MAPS, _LIMIT = Path("/proc/self/maps"), Path("/proc/sys/vm/max_map_count")
_PLACE = "jax_compilation_cache_dir"
_SETTINGS = {
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
    "jax_persistent_cache_enable_xla_caches": "none",
}
"""Everything is kept; by default JAX leaves out what compiles in less than a second. Without XLA's own caches, whose
place becomes a part of a program's name, the folder may be moved."""


@contextlib.contextmanager
def kept_programs(folder: Path | None) -> Iterator[None]:
    """While this lasts, what JAX compiles in this process is kept in `folder/compiled`, and taken from there.

    Nothing changes where `folder` is None, or where there is such a cache already: the user's own
    (`JAX_COMPILATION_CACHE_DIR`), or that of a run which this one is a part of.
    """
    if folder is None or getattr(jax.config, _PLACE):
        yield
        return
    chosen = {**_SETTINGS, _PLACE: str(folder / "compiled" / machine())}
    before = {name: getattr(jax.config, name) for name in chosen}
    _configure(chosen)
    try:
        with warnings.catch_warnings():
            # A program that cannot be read or kept, on a full disk say, is compiled: nothing that a user has to know.
            warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache", UserWarning)
            yield
    finally:
        _configure(before)


def make_room(share: float = 0.5) -> None:
    """Let go of this process's compiled programs where they have taken more than this share of what Linux allows.

    On a CPU each takes some hundred memory maps, of which a process has 65,530 unless the system's administrator has
    said otherwise, and XLA ends the process when there are none left. A small training takes 8,000, so that the eighth
    in one process, as in cross-validation, would be the last. What is needed again is compiled again.
    """
    try:
        limit, used = int(_LIMIT.read_bytes()), _MAPS.read_bytes().count(b"\n")
    except (OSError, ValueError):
        return  # another system
    if used > share * limit:
        jax.clear_caches()
        gc.collect()


def machine() -> str:
    """12 hexadecimal digits that tell kinds of machine apart: jaxlib's version, the processor and what it can do."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        abilities = {line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))}
        return _digest([*sorted(abilities), *_versions()])
    return _digest([platform.machine(), platform.processor(), *_versions()])


def _versions() -> list[str]:
    return [jax.__version__, jaxlib.__version__, jax.default_backend()]


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _configure(settings: dict[str, object]) -> None:
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # otherwise JAX keeps what it found at the first program of the process
