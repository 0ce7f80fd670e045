"""One training at a time in a folder: the operating system's lock, which ends with the process that holds it."""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path
from typing import IO

from ulmfit_jax.errors import ConfigError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_UNSUPPORTED = (errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)
"""What file systems without locks answer; training goes on there without protection."""


class FolderLock:
    """Held from its making to `release`, or to the end of the process."""

    def __init__(self, folder: Path):
        """Lock `folder` by the file `.lock` in it.

        Raises:
            ConfigError: it is locked already.
        """
        self._file: IO[str] = (folder / ".lock").open("a")
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise ConfigError(
                f"another training is going on in {folder}: wait until it has ended, or choose another folder"
            ) from error
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                self._file.close()
                raise

    def release(self) -> None:
        """Let others in; a second time changes nothing."""
        with contextlib.suppress(OSError):
            self._file.close()
