"""Memory in pages of 2 MiB for programs that compute on a CPU: a training step is up to a seventh faster with them.

The arrays of a training step are large and new at each step. With pages of 4 KiB the processor spends much of its time
on mapping and finding them. Linux gives large pages to programs that ask for them (the setting `madvise` of
`/sys/kernel/mm/transparent_hugepage/enabled`, the usual one); glibc asks for what `malloc` hands out if its tunable
`glibc.malloc.hugetlb` is 1 when the program starts, from version 2.35 on. Measured in benchmarks/README.md.
"""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

_VARIABLE, _TUNABLE = "GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"
_SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def restart_with_huge_pages() -> None:
    """Start this program again, with the same process number and arguments, so that it has huge pages.

    Call it before anything that must not happen twice. It returns, and does nothing, where it would not help: on other
    systems, with an older glibc, where huge pages are off or on for all programs, and where `GLIBC_TUNABLES` is set
    already, which is also how a user turns this off (`GLIBC_TUNABLES= ulmfit train …`).
    """
    if would_help():
        sys.stdout.flush()
        sys.stderr.flush()
        command = [sys.executable, *sys.orig_argv[1:]]
        os.execve(command[0], command, {**os.environ, _VARIABLE: _TUNABLE})


def would_help() -> bool:
    """Whether huge pages are to be had and not asked for yet."""
    if _VARIABLE in os.environ or not sys.platform.startswith("linux") or not sys.executable:
        return False
    try:
        setting = _SETTING.read_text("ascii")
    except OSError:
        return False
    return "[madvise]" in setting and _has_tunable(*platform.libc_ver())


def _has_tunable(library: str, version: str) -> bool:
    numbers = version.split(".")
    return library == "glibc" and all(map(str.isdigit, numbers[:2])) and tuple(map(int, numbers[:2])) >= (2, 35)
