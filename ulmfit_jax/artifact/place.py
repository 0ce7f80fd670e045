"""The place of a model folder: what may be replaced there, and how."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ulmfit_jax.artifact.manifest import own_files
from ulmfit_jax.errors import ArtifactError, UlmfitError


@contextlib.contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder` that takes its place when the context ends well.

    Raises:
        ArtifactError: the place holds something that is not a model, or cannot be written; nothing there is changed.
    """
    if folder.name in ("", ".."):  # such as ".", beside which nothing can be made
        folder = folder.resolve()
    try:
        check_place(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise ArtifactError(f"{folder} cannot be written ({error.strerror}): choose another place") from error
    try:
        yield temporary
        temporary.chmod(0o755)
        replace(temporary, folder)
    except UlmfitError:
        raise
    except (OSError, ValueError) as error:  # TensorStore reports a failed write as a ValueError of many lines
        reason = "there is no free disk left" if "No space left" in str(error) else str(error)[:200]
        raise ArtifactError(f"{folder} could not be written ({reason}): nothing there was changed") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_place(folder: Path) -> None:
    """Make sure that writing a model at `folder` costs nobody anything.

    Raises:
        ArtifactError: there is something else than an empty folder or a model folder (damaged or whole) with no file
            in it but its own.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ArtifactError(f"{folder} exists and is not a folder: choose another place, nothing was overwritten")
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    foreign = present - own_files(folder)
    if foreign:
        raise ArtifactError(
            f"{folder} exists and holds {min(foreign)}, which is not of a model: choose another place, "
            "nothing was overwritten"
        )


def refuse_existing(folder: str | Path) -> None:
    """Make sure that a model can be written at `folder` without taking the place of anything.

    Raises:
        ArtifactError: there is anything but an empty folder.
    """
    place = Path(folder)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise ArtifactError(f"{folder} exists already: choose another folder, or remove it; nothing was overwritten")


def replace(new: Path, place: Path) -> None:
    """Rename the folder `new` to `place`, where a folder that `check_place` accepts may be.

    Raises:
        OSError: it cannot be renamed; what was at `place` is there again.
    """
    if not place.exists():
        new.rename(place)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{place.name}.old.", dir=place.parent))
    old = aside / place.name
    try:
        place.rename(old)
        new.rename(place)
    except BaseException:  # also an interruption between the two
        if not place.exists():
            old.rename(place)
        raise
    finally:
        if place.exists():
            shutil.rmtree(aside, ignore_errors=True)
