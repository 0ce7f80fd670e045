"""Records of TensorFlow data sets (TFDS), read without TensorFlow from where they were prepared."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ulmfit_jax.data.records import Columns, LabelColumn, Record, TextColumn, checked_kept, choose_columns, column_names
from ulmfit_jax.errors import DataError

TFDS_PREFIX = "tfds:"

_LOCATION = re.compile(
    r"tfds:(?P<name>\w+)(?:/(?P<config>[^:/\[\]]+))?(?::(?P<version>\d+\.\d+\.\d+))?:(?P<split>\w.*)", re.DOTALL
)
_VERSION = re.compile(r"\d+\.\d+\.\d+")
# Records decoded at once: reading one by one costs twice the time.
_READ_AHEAD = 1024


@dataclass(frozen=True)
class TfdsLocation:
    """What `tfds:NAME[/CONFIG][:VERSION]:SPLIT` names.

    Attributes:
        name: of the builder, such as imdb_reviews.
        config: of the builder's configurations, such as plain_text; None: the only one that is prepared.
        version: such as 1.0.0; None: the highest that is prepared.
        split: in TFDS's own language, such as train, train[:2500], train[80%:] or train+test.
    """

    name: str
    config: str | None
    version: str | None
    split: str

    @classmethod
    def parse(cls, location: str) -> TfdsLocation:
        """Reads a location.

        Raises:
            DataError: it is not of that form.
        """
        match = _LOCATION.fullmatch(location)
        if match is None:
            raise DataError(f"{location} is not of the form tfds:NAME[/CONFIG]:SPLIT, such as tfds:imdb_reviews:train.")
        return cls(**match.groupdict())

    @property
    def builder_name(self) -> str:
        """The name by which TFDS knows the builder: NAME[/CONFIG][:VERSION]."""
        config = f"/{self.config}" if self.config else ""
        return f"{self.name}{config}" + (f":{self.version}" if self.version else "")


def tfds_records(
    location: str,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    require_labels: bool = True,
    *,
    kept: Sequence[str] = (),
    data_dir: str | Path | None = None,
    download: bool = False,
) -> Iterator[Record]:
    """Yields the examples of a TensorFlow data set, in its order.

    Where there is one text feature and one class label, these are read; of several, those with usual names or named
    ones. Class labels become the names of their classes; -1, as in imdb_reviews:unsupervised, is no label.

    Args:
        location: `tfds:NAME[/CONFIG][:VERSION]:SPLIT`.
        text_column, label_column: names of features; a label may be text or a whole number too.
        require_labels: whether there must be a label feature.
        kept: names of features that go along.
        data_dir: where TFDS keeps prepared data sets, or the folder with its `tensorflow_datasets` in it; TFDS's own
            default where None.
        download: whether a data set that is not prepared there may be downloaded and prepared.

    Raises:
        DataError: the data set is not prepared or in a format that needs TensorFlow, or has no such split or feature.
    """
    import tensorflow_datasets as tfds

    from ulmfit_jax.data.tfds_prepare import prepare

    target = TfdsLocation.parse(location)
    root = Path(tfds.core.constants.DATA_DIR if data_dir is None else data_dir).expanduser()
    folder = prepared_folder(target, root) or prepared_folder(target, root / "tensorflow_datasets")
    if folder is None and not download:
        raise DataError(
            f"{target.builder_name} is not prepared in {root}; allow the download, or give the folder of prepared "
            "TensorFlow data sets as data_dir."
        )
    builder = tfds.builder_from_directory(folder or prepare(target, root))
    source = _open_split(builder, target, location)
    features = builder.info.features
    columns = _choose_features(features, text_column, label_column, require_labels, location)
    columns = replace(columns, kept=checked_kept(kept, sorted(features), location))
    return _examples(source, features, columns, location)


def prepared_folder(target: TfdsLocation, root: Path) -> Path | None:
    """The folder root/NAME[/CONFIG]/VERSION of a prepared data set; None if there is none.

    Raises:
        DataError: no configuration is named and several are prepared.
    """
    base = root / target.name
    if target.config is not None:
        return _version_folder(base / target.config, target.version)
    direct = _version_folder(base, target.version)
    if direct is not None or not base.is_dir():
        return direct
    found = {child.name: _version_folder(child, target.version) for child in sorted(base.iterdir()) if child.is_dir()}
    prepared = {name: folder for name, folder in found.items() if folder is not None}
    if len(prepared) > 1:
        raise DataError(
            f"{base} holds the configurations {', '.join(prepared)}; name one, as in tfds:{target.name}/"
            f"{next(iter(prepared))}:{target.split}."
        )
    return next(iter(prepared.values()), None)


def _version_folder(base: Path, version: str | None) -> Path | None:
    """The folder of a version, or of the highest one; only a folder that is completely prepared has its info file."""
    if not base.is_dir():
        return None
    versions = [
        child
        for child in base.iterdir()
        if _VERSION.fullmatch(child.name) and version in (None, child.name) and (child / "dataset_info.json").is_file()
    ]
    return max(versions, key=lambda child: [int(part) for part in child.name.split(".")], default=None)


def _open_split(builder: Any, target: TfdsLocation, location: str) -> Any:
    """TFDS's random-access source of a split, which reads array_record and Parquet files."""
    try:
        return builder.as_data_source(split=target.split)
    except NotImplementedError as error:
        raise DataError(
            f"{target.builder_name} is prepared in {builder.data_path} as {builder.info.file_format.value}, which only "
            "TensorFlow reads; prepare it as array_record in another data_dir."
        ) from error
    except ValueError as error:
        splits = ", ".join(f"{name} ({split.num_examples})" for name, split in builder.info.splits.items())
        reason = str(error).splitlines()[0]
        raise DataError(f"{location} names no part of the data set ({reason}); its splits are {splits}.") from error


def _choose_features(
    features: Any, text_column: TextColumn, label_column: LabelColumn, require_labels: bool, location: str
) -> Columns:
    """Chooses by the features' types; where these leave a choice, by the usual names among them."""
    import tensorflow_datasets as tfds

    texts = [name for name, feature in features.items() if isinstance(feature, tfds.features.Text)]
    labels = [name for name, feature in features.items() if isinstance(feature, tfds.features.ClassLabel)]
    text_column = column_names(text_column, features) or (texts if len(texts) == 1 else None)
    label_column = column_names(label_column, features) or (labels if len(labels) == 1 else None)
    named = {*(text_column or ()), *(label_column or ())}
    # Only what could be the text or the label is offered, so that an integer feature "class" is not taken unasked.
    offered = [
        name for name in sorted(features) if name in (*texts, *labels) or name in named or not named <= features.keys()
    ]
    return choose_columns(offered, text_column, label_column, require_labels, location)


def _examples(source: Any, features: Any, columns: Columns, location: str) -> Iterator[Record]:
    import tensorflow_datasets as tfds

    class_names = {
        name: features[name].names
        for name in (*columns.labels, *columns.kept)
        if isinstance(features[name], tfds.features.ClassLabel) and name not in columns.texts
    }
    for start in range(0, len(source), _READ_AHEAD):
        block = _read(source, range(start, min(start + _READ_AHEAD, len(source))), location)
        for number, example in enumerate(block, start + 1):
            place = f"example {number}"
            row = {name: _decode(example[name], location, place) for name in columns.names}
            for name, classes in class_names.items():
                row[name] = classes[row[name]] if row[name] >= 0 else None
            yield columns.record(place, row)


def _read(source: Any, numbers: range, location: str) -> Any:
    try:
        return source.__getitems__(numbers)
    # What array_record raises for a file that is missing, cut off or altered; ValueError is TFDS's, for a bad example.
    except (OSError, RuntimeError, IndexError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(f"{location} cannot be read ({reason}); prepare the data set again.") from error


def _decode(value: Any, location: str, place: str) -> Any:
    """TFDS gives text as bytes."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{location}, {place} has the byte 0x{value[error.start]:02x} at position {error.start} of a text, which "
            "is not UTF-8; use another split or data set."
        ) from error
