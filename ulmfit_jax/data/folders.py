"""Records of a folder with one text file per document."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from ulmfit_jax.data.lines import data_suffix, read_text
from ulmfit_jax.data.records import Record
from ulmfit_jax.data.text_files import files_below
from ulmfit_jax.errors import DataError

# What the IMDb archive and others call the texts that have no label.
UNLABELLED_FOLDERS = ("unsup", "unsupervised")

_SPLITS = ("train", "training", "test", "testing", "valid", "validation", "val", "dev")

logger = logging.getLogger(__name__)


def folder_records(folder: Path, require_labels: bool = True, encoding: str | None = None) -> Iterator[Record]:
    """Yields the text files of a folder, one document each, in the order of their names.

    Each sub-folder is a label and its .txt files (also .gz or .xz), at any depth, are the documents; the files beside
    the sub-folders are then left out. Without sub-folders the .txt files of the folder are the documents, and have no
    label. The sub-folders "unsup" and "unsupervised" hold documents without a label and are left out where labels are
    required. Names that begin with a dot are left out.

    Args:
        folder: the folder.
        require_labels: whether every document must have a label.
        encoding: of the files; see `read_lines`.

    Raises:
        DataError: the folder is missing, holds no text files, holds splits in the place of labels, or holds no labels
            where they are required; or a file is not of the encoding.
    """
    if not os.path.isdir(folder):
        raise DataError(f"{folder} does not exist; give a folder with one sub-folder of .txt files for each label.")
    children = _children(folder)
    groups = {child.name: files_below(child, _is_text) for child in children if child.is_dir()}
    groups = {name: files for name, files in groups.items() if files}
    _refuse_splits(folder, list(groups))
    loose = [child for child in children if _is_text(child) and child.is_file()]
    if not groups and not loose:
        raise DataError(f"{folder} holds no .txt files; give a folder with one sub-folder of them for each label.")
    if not groups and require_labels:
        raise DataError(f"{folder} has no labels: put its .txt files into one sub-folder for each label.")
    if groups and loose:
        logger.warning("%s: %d .txt files beside the sub-folders are left out.", folder, len(loose))
    for label, files in groups.items() if groups else [(None, loose)]:
        unlabelled = label is None or label.lower() in UNLABELLED_FOLDERS
        if unlabelled and require_labels:
            logger.warning("%s: the %d documents of %s have no label and are left out.", folder, len(files), label)
            continue
        for path in files:
            yield Record(str(path.relative_to(folder)), (read_text(path, encoding),), None if unlabelled else label)


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(child for child in folder.iterdir() if not child.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror or error}); give a folder that can.") from error


def _is_text(path: Path) -> bool:
    return data_suffix(path) == ".txt"


def _refuse_splits(folder: Path, names: list[str]) -> None:
    splits = [name for name in names if name.lower() in _SPLITS]
    if len(splits) >= 2:
        raise DataError(
            f"{folder} holds the parts {', '.join(splits)} of a data set and not labels; "
            f"give one of them, such as {folder / splits[0]}."
        )
