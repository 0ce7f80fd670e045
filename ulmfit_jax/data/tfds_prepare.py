"""Downloading and preparing a TensorFlow data set in a format that is read without TensorFlow."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ulmfit_jax.errors import DataError

if TYPE_CHECKING:
    from ulmfit_jax.data.tfds_source import TfdsLocation


def prepare(target: TfdsLocation, root: Path) -> Path:
    """Downloads a data set and writes it below `root` as array_record.

    Most builders read what they downloaded through TensorFlow; then the package has to be there this once.

    Returns:
        The folder of the prepared data set.

    Raises:
        DataError: TFDS knows no such data set, or preparing needs a package that is missing, or it fails.
    """
    builder = _builder(target, root)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # standard output is for results
            builder.download_and_prepare(file_format="array_record")
    except ImportError as error:
        package = (error.name or str(error)).split(".")[0]
        extra = "'.[prepare]' in the folder of ulmfit-jax" if package == "tensorflow" else package.replace("_", "-")
        raise DataError(
            f"Preparing {target.builder_name} needs the package {package}, which is not installed; run "
            f"pip install {extra} and try again (what was downloaded is kept)."
        ) from error
    # A builder is foreign code that reads foreign servers: whatever goes wrong in it, the user cannot mend it there.
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(
            f"{target.builder_name} could not be downloaded and prepared in {root} ({reason}); prepare it by other "
            "means or give the texts as a file."
        ) from error
    return Path(builder.data_path)


def _builder(target: TfdsLocation, root: Path) -> Any:
    # Older builders are registered when their package is imported. TFDS imports all such packages in a fixed order and
    # stops at the first that needs TensorFlow, which is before this one.
    import tensorflow_datasets as tfds
    import tensorflow_datasets.text

    try:
        return tfds.builder(target.builder_name, data_dir=root, file_format="array_record")
    except tfds.core.registered.DatasetNotFoundError as error:
        raise DataError(f"TFDS has no data set {target.name}; see its catalogue for the names.") from error
    # Unknown configurations and versions raise an assertion or a ValueError with a long list of those that exist.
    except (AssertionError, ValueError, ImportError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"TFDS cannot make {target.builder_name} ({reason}); name another one.") from error
