"""How a tokenizer lies on disk: `tokenizer.json`, which says what it is, and one file with what it has learned."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path
from typing import Any, Final

from ulmfit_jax.errors import ArtifactError
from ulmfit_jax.text.rules import RULES_VERSION

DESCRIPTION_FILE: Final = "tokenizer.json"
FORMAT_VERSION: Final = 1


def content_fingerprint(kind: str, content: bytes) -> str:
    """The sha256, in hex, of everything that decides the ids: the kind, the version of the rules, what was learned."""
    parts = (kind.encode("utf-8", "surrogatepass"), RULES_VERSION.encode(), content)
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def write_tokenizer(folder: Path, kind: str, file_name: str, content: bytes) -> None:
    """Write both files; each replaces an older one in a single step, the description last."""
    folder.mkdir(parents=True, exist_ok=True)
    description = {
        "format_version": FORMAT_VERSION,
        "kind": kind,
        "rules": RULES_VERSION,
        "file": file_name,
        "fingerprint": content_fingerprint(kind, content),
    }
    _replace(folder / file_name, content)
    _replace(folder / DESCRIPTION_FILE, (json.dumps(description, indent=2) + "\n").encode())


def read_tokenizer(folder: Path) -> tuple[str, bytes]:
    """The kind of the tokenizer saved in a folder and the bytes it has learned, unaltered since they were saved.

    Raises:
        ArtifactError: a file is missing, is not what this version of the library writes, or has been altered.
    """
    path = folder / DESCRIPTION_FILE
    description = _read_description(path)
    if description.get("format_version") != FORMAT_VERSION:
        raise ArtifactError(
            f"{path} has format version {description.get('format_version')!r}, but this version of ulmfit_jax reads "
            f"version {FORMAT_VERSION}; load it with the version that saved it"
        )
    if description.get("rules") != RULES_VERSION:
        raise ArtifactError(
            f"{path} was made with the text rules {description.get('rules')!r}, but this version of ulmfit_jax has "
            f"{RULES_VERSION!r}; load it with the version that saved it"
        )
    kind, file_name = description.get("kind"), description.get("file")
    if not isinstance(kind, str) or not isinstance(file_name, str) or Path(file_name).name != file_name:
        raise ArtifactError(f"{path} does not name the tokenizer's kind and file; save the tokenizer again")
    try:
        content = _read_whole(folder / file_name)
    except (OSError, ValueError) as error:  # a name may be none that a file can have
        reason = getattr(error, "strerror", None) or error
        raise ArtifactError(
            f"{folder / file_name!s:.300} cannot be read ({reason}); copy the whole folder of the saved tokenizer"
        ) from error
    if content_fingerprint(kind, content) != description.get("fingerprint"):
        raise ArtifactError(
            f"{folder / file_name} is not the file that was saved with {path.name} (their fingerprints differ); "
            f"copy both again from where they were saved"
        )
    return kind, content


def _read_description(path: Path) -> dict[str, Any]:
    try:
        description = json.loads(_read_whole(path))
    except OSError as error:
        raise ArtifactError(
            f"{path} cannot be read ({error.strerror}); give the folder of a saved tokenizer"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is not JSON ({error}); copy it again from where it was saved") from error
    if not isinstance(description, dict):
        raise ArtifactError(f"{path} holds no JSON object; copy it again from where it was saved")
    return description


def _read_whole(path: Path) -> bytes:
    """The bytes of a file; a pipe or a device, which may never end, is none.

    Raises:
        OSError: it cannot be read.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no file")
    return path.read_bytes()


def _replace(path: Path, content: bytes) -> None:
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        new.write_bytes(content)
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
