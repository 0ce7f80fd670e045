"""What the fuzz tests (`test_fuzz_*.py`) share: how many cases they draw, damaged files, and what a sentence is."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from ulmfit_jax.errors import UlmfitError

Edit = tuple[str, float, bytes]

NUMBERS = [0, 1, -1, 2**31, 2**63, 10**30, -(10**30), 1e300, float("inf"), float("nan"), 0.5, True]
NAMES = ["", ".", "..", "../outside", "/etc/hostname", "a\0b", "\ud800", "x" * 300, "a/b", "config.json", "é"]


@contextlib.contextmanager
def memory_below(mebibytes: int) -> Iterator[None]:
    """What is inside takes less than this, counted from where it begins, not from where the process has been once."""
    with contextlib.suppress(OSError):  # where Linux lets a process set its high-water mark back
        Path("/proc/self/clear_refs").write_text("5")
    before = _most_memory()
    yield
    assert _most_memory() - before < mebibytes


def _most_memory() -> float:
    """High-water mark of this process in MiB."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def cases(few: int) -> settings:
    """So many cases in the suite; thirty times as many with `--hypothesis-profile long` (`make fuzz`)."""
    return settings(max_examples=few * settings.default.max_examples // 100)


_edits = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "overwrite", "repeat", "drop"]),
        st.floats(0, 1),
        st.binary(max_size=9),
    ),
    min_size=1,
    max_size=4,
)


def edited(content: bytes, edits: list[Edit]) -> bytes:
    """The content with bytes flipped, cut off, put in, overwritten, doubled or left out at these shares of it."""
    for kind, share, payload in edits:
        place = min(int(share * len(content)), max(len(content) - 1, 0))
        before, after = content[:place], content[place:]
        match kind:
            case "flip":
                bit = 1 << len(payload) % 8
                content = before + bytes([after[0] ^ bit]) + after[1:] if after else before
            case "cut":
                content = before
            case "insert":
                content = before + payload + after
            case "overwrite":
                content = before + payload + after[len(payload) :]
            case "repeat":
                content = before + after[: 9 * len(payload)] + after
            case "drop":
                content = before + after[len(payload) + 1 :]
    return content


edits = _edits
"""Lists of such edits."""

plain_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.sampled_from([*NUMBERS, *NAMES]) | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
"""What a field of a JSON file may hold instead of what belongs there."""


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a nested value, as the keys and indices that lead there."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, entry in items for place in places(entry, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """The nested value with another one at a place."""
    if not path:
        return new
    key, *rest = path
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[key] = replaced(value[key], tuple(rest), new)
    return copy


def check_sentence(error: UlmfitError, *places: Path | str) -> None:
    """One line that names one of the places, and no longer than a person reads."""
    said = str(error)
    assert "\n" not in said
    assert len(said) < 1500, said
    assert any(str(place) in said for place in places), said
