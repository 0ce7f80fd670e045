"""Records: what every kind of source yields, and which of its columns hold the text and the label."""

from __future__ import annotations

import difflib
import numbers
import reprlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ulmfit_jax.errors import DataError
from ulmfit_jax.text.rules import join_fields

TEXT_COLUMNS = ("text", "review", "sentence", "content", "comment", "document", "body", "message")
LABEL_COLUMNS = ("label", "labels", "sentiment", "class", "category")


@dataclass(frozen=True)
class IfThere:
    """Columns to read where all of them exist; elsewhere the column is looked for as if none was named."""

    names: tuple[str, ...]


TextColumn = str | Sequence[str] | IfThere | None
"""The name of the column that holds the text; several names: their texts are joined as fields; None: find it."""

LabelColumn = str | Sequence[str] | IfThere | None
"""The name of the column that holds the label; several names: each column is a label that applies or not; None: find
it."""


class Record(NamedTuple):
    """One example as it stands in its source.

    Attributes:
        place: where it stands, for messages: "row 7", "line 3".
        texts: the value of each text column.
        label: the value of the label column, None where there is none; of several columns, their values by name.
        kept: the values of the columns that go along.
    """

    place: str
    texts: tuple[Any, ...]
    label: Any
    kept: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Columns:
    """The columns to read: one or more of text, of labels none, one, or one for each label, and any that go along."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    kept: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All columns to read, each once."""
        return tuple(dict.fromkeys((*self.texts, *self.labels, *self.kept)))

    def record(self, place: str, row: Mapping[str, Any]) -> Record:
        """A record of the values by name; labels and what goes along may be missing."""
        texts, kept = tuple(row[name] for name in self.texts), tuple(row.get(name) for name in self.kept)
        return Record(place, texts, self.label([row.get(name) for name in self.labels]), kept)

    def label(self, values: Sequence[Any]) -> Any:
        """What a `Record` keeps of the values of `labels`."""
        if len(self.labels) > 1:
            return dict(zip(self.labels, values, strict=True))
        return values[0] if values else None


def choose_columns(
    existing: Sequence[str],
    text_column: TextColumn,
    label_column: LabelColumn,
    require_labels: bool,
    source: str,
    kept: Sequence[str] = (),
) -> Columns:
    """Finds the columns of text and label among those that exist.

    A column that is not named is looked for among TEXT_COLUMNS and LABEL_COLUMNS, in their order and in any case, but
    not among those that were named for the other role. Those of `kept` go along, whatever else they are.

    Raises:
        DataError: a named column does not exist, or none is named and no usual name is there, or one column is to be
            both.
    """
    named_texts, named_labels = column_names(text_column, existing), column_names(label_column, existing)
    texts: tuple[str | None, ...] = named_texts or (_usual(existing, TEXT_COLUMNS, named_labels),)
    labels: tuple[str | None, ...] = named_labels or (_usual(existing, LABEL_COLUMNS, named_texts),)
    sought = [*(("text", name) for name in texts), *(("label", name) for name in labels)]
    unnamed = [kind for kind, name in sought if name is None and (kind == "text" or require_labels)]
    absent = [(kind, name) for kind, name in sought if name is not None and name not in existing]
    if unnamed or absent:
        raise DataError(f"{source} has {_missing(unnamed, absent, existing)}")
    read_texts, read_labels = (tuple(name for name in names if name is not None) for names in (texts, labels))
    read = (*read_texts, *read_labels)
    if len(set(read)) < len(read):
        raise DataError(f"{source}: one column is named twice among {', '.join(read)}; name different columns.")
    return Columns(read_texts, read_labels, checked_kept(kept, existing, source))


def checked_kept(kept: Sequence[str], existing: Collection[str], source: str) -> tuple[str, ...]:
    """The columns that go along.

    Raises:
        DataError: one does not exist.
    """
    for name in kept:
        if name not in existing:
            what = f"no column {name!r}{_meant(name, list(existing))} to go along"
            raise DataError(f"{source} has {what}; there are {_listed(list(existing))}.")
    return tuple(kept)


def column_names(column: TextColumn | LabelColumn, existing: Collection[str]) -> tuple[str, ...]:
    """The names in a TextColumn or LabelColumn; none where it is to be found among those that exist."""
    if column is None:
        return ()
    if isinstance(column, IfThere):
        return column.names if all(name in existing for name in column.names) else ()
    return (column,) if isinstance(column, str) else tuple(column)


def clean_text(record: Record, source: str) -> str:
    """The text of a record; a missing value is "", several texts are joined as fields (`xxfld 1 … xxfld 2 …`).

    Raises:
        DataError: a value is not text.
    """
    texts = ["" if is_missing(text) else text for text in record.texts]
    for text in texts:
        if not isinstance(text, str):
            raise DataError(
                f"{source}, {record.place}: the text is {_shorten(reprlib.repr(text))}, not a string; choose a column "
                "of text."
            )
    return texts[0] if len(texts) == 1 else join_fields(texts)


def clean_label(record: Record, source: str) -> str | None:
    """The label of a record as a string, None where it is missing or blank.

    Space around a label is dropped. A whole number becomes its decimal string, also where it is stored as a float (as
    pandas does in a column with gaps).

    Raises:
        DataError: the label is neither text nor a number nor a truth value, or half a surrogate pair is in it, which
            no file of a model can hold.
    """
    label = record.label
    if getattr(label, "size", 0) == 1 and hasattr(label, "item"):  # a scalar of NumPy or JAX
        label = label.item()
    if is_missing(label):
        return None
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    if not isinstance(label, str | int | float):
        raise DataError(
            f"{source}, {record.place}: the label is {_shorten(reprlib.repr(label))}; give one string or number for "
            "each text."
        )
    name = str(label).strip()
    if any("\ud800" <= character <= "\udfff" for character in name):
        raise DataError(
            f"{source}, {record.place}: the label is {_shorten(reprlib.repr(name))}, which is not whole Unicode; give "
            "one whose characters are."
        )
    return name or None


def _usual(existing: Sequence[str], usual: Sequence[str], taken: Collection[str]) -> str | None:
    by_lower_case = {name.lower(): name for name in reversed(existing) if name not in taken}
    return next((by_lower_case[name] for name in usual if name in by_lower_case), None)


def _missing(unnamed: Sequence[str], absent: Sequence[tuple[str, str]], existing: Sequence[str]) -> str:
    """What is missing, all of it, and how to name what is there."""
    missing = [f"no column with a usual name for the {kind}" for kind in unnamed]
    missing += [f"no column {name!r}{_meant(name, existing)}" for _, name in absent]
    kinds = list(dict.fromkeys([*unnamed, *(kind for kind, _ in absent)]))
    return f"{' and '.join(missing)}; {_advice(existing, kinds)}"


def _meant(name: str, existing: Sequence[str]) -> str:
    by_lower_case = {one.lower(): one for one in existing}
    close = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
    return f" (did you mean {_shorten(by_lower_case[close[0]])!r}?)" if close else ""


def _advice(existing: Sequence[str], kinds: Sequence[str]) -> str:
    columns = " and ".join(f"the {kind}'s column with {kind}_column" for kind in kinds)
    # Names of columns are words; a text among them is more likely the first row of a file without a header.
    no_header = " (if that is a row of data, put a first line with names above it)"
    has_header = all(len(name.split()) <= 4 for name in existing)
    return f"name {columns}: there are {_listed(existing)}{'' if has_header else no_header}."


def _listed(existing: Sequence[str]) -> str:
    return ", ".join(_shorten(name) for name in existing[:20]) + (", …" if len(existing) > 20 else "")


def is_missing(value: Any) -> bool:
    """Whether a value is None, NaN or pandas' NA."""
    # pandas' NA is no float and has no truth value; it is known by its type's name so that pandas need not be here.
    return (
        value is None
        or (isinstance(value, numbers.Real) and value != value)
        or type(value).__name__ in ("NAType", "NaTType")
    )


def _shorten(text: str, width: int = 40) -> str:
    """On one line, however the text is broken."""
    text = " ".join(text.splitlines())
    return text if len(text) <= width else text[: width - 1] + "…"
