"""AnnData's on-disk encoding of a data frame (dataframe 0.2.0), whatever container its groups and arrays lie in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from arraystore.errors import FormatError
from arraystore.format.columns import (
    CategoricalColumn,
    Column,
    NullableColumn,
    NumericColumn,
    StringColumn,
    Texts,
    TextsColumn,
    WritableColumn,
)
from arraystore.format.writer import Frame

ORDER, INDEX, ENCODING = "column-order", "_index", "encoding-type"

# The arrays within the group of a column, by its encoding; an encoding that is one array has none.
MEMBERS: Mapping[str, tuple[str, ...]] = {
    "array": (),
    "string-array": (),
    "categorical": ("codes", "categories"),
    "nullable-integer": ("values", "mask"),
    "nullable-string-array": ("values", "mask"),
}


# ---- writing ----


class FrameSink(Protocol):
    """Where a data frame is written; paths are those below the frame, which is the group of the empty path."""

    def group(self, path: str, attributes: Mapping[str, Any]) -> None:
        """Make a group."""

    def numbers(self, path: str, values: npt.NDArray[Any], attributes: Mapping[str, Any]) -> None:
        """Write an array of numbers or truth values."""

    def strings(self, path: str, values: Texts | npt.NDArray[Any], attributes: Mapping[str, Any]) -> None:
        """Write an array of strings, a part at a time."""


def write_frame(sink: FrameSink, frame: Frame) -> None:
    """Write a data frame.

    Parameters
    ----------
    sink : FrameSink
        Where to.
    frame : Frame
        Its index and columns.

    Raises
    ------
    ValueError
        If a column has another length than the index.
    """
    attributes = {ORDER: list(frame.columns), INDEX: frame.index_name}
    sink.group("", {**attributes, **_encoding("dataframe", "0.2.0")})
    _write_strings(sink, frame.index_name, frame.index)
    # One at a time, since some mappings make a column when they are asked for it.
    for name, column in frame.columns.items():
        if len(column) != len(frame.index):
            raise ValueError(f"column {name} has {len(column)} values for {len(frame.index)} records")
        _write_column(sink, name, column)


def _write_column(sink: FrameSink, name: str, column: WritableColumn) -> None:
    match column:
        case CategoricalColumn(codes, categories):
            sink.group(name, {"ordered": False, **_encoding("categorical", "0.2.0")})
            _write_numbers(sink, f"{name}/codes", codes)
            _write_strings(sink, f"{name}/categories", categories)
        case NumericColumn(values):
            _write_numbers(sink, name, values)
        case NullableColumn(values, mask):
            sink.group(name, _encoding("nullable-integer", "0.1.0"))
            _write_numbers(sink, f"{name}/values", values)
            _write_numbers(sink, f"{name}/mask", mask)
        case StringColumn() | TextsColumn() if column.mask is None:
            _write_strings(sink, name, column.values)
        case StringColumn() | TextsColumn():
            sink.group(name, _encoding("nullable-string-array", "0.1.0"))
            _write_strings(sink, f"{name}/values", column.values)
            if column.mask is not None:
                _write_numbers(sink, f"{name}/mask", column.mask)


def _encoding(kind: str, version: str) -> dict[str, Any]:
    return {ENCODING: kind, "encoding-version": version}


def _write_numbers(sink: FrameSink, path: str, values: npt.NDArray[Any]) -> None:
    sink.numbers(path, values, _encoding("array", "0.2.0"))


def _write_strings(sink: FrameSink, path: str, values: Texts | npt.NDArray[Any]) -> None:
    sink.strings(path, values, _encoding("string-array", "0.2.0"))


def string_parts(values: Texts | npt.NDArray[Any], rows: int) -> Iterator[tuple[int, list[str]]]:
    """Cut a long list of strings, so that few of them are Python objects at a time.

    Parameters
    ----------
    values : Texts or ndarray of str
        The strings.
    rows : int
        Strings in a part.

    Yields
    ------
    int
        Number of the first string of the part.
    list of str
        The part.
    """
    for start in range(0, len(values), rows):
        stop = min(start + rows, len(values))
        yield start, values[start:stop].tolist() if isinstance(values, np.ndarray) else values.to_list(start, stop)


# ---- reading ----


class ColumnSource(Protocol):
    """One column as it lies in a container; not believed. An array of the empty name is the column itself."""

    @property
    def encoding(self) -> object:
        """Its attribute `encoding-type`, whatever that is."""

    @property
    def is_group(self) -> bool:
        """Whether it is a group, and no array."""

    def length(self, name: str) -> int:
        """Return the number of values in an array of one dimension."""

    def numbers(self, name: str, length: int) -> npt.NDArray[Any]:
        """Read an array of numbers or truth values, whose length was compared before."""

    def strings(self, name: str, length: int) -> npt.NDArray[Any]:
        """Read an array of strings, whose length was compared before."""


def read_encoded(source: ColumnSource, n: int) -> Column:
    """Read one column.

    Parameters
    ----------
    source : ColumnSource
        The column.
    n : int
        Number of records, which is that of the values.

    Returns
    -------
    CategoricalColumn, NumericColumn, NullableColumn or StringColumn

    Raises
    ------
    FormatError
        If it has another number of values, or an encoding that format 1 does not have.
    """
    members_of(source)
    match source.encoding:
        case "array":
            return NumericColumn(_numbers(source, "", n))
        case "string-array":
            return StringColumn(_strings(source, "", n))
        case "categorical":
            return CategoricalColumn(_numbers(source, "codes", n), _categories(source, n))
        case "nullable-integer":
            return NullableColumn(_numbers(source, "values", n), _numbers(source, "mask", n))
    return StringColumn(_strings(source, "values", n), _numbers(source, "mask", n))


def members_of(source: ColumnSource) -> tuple[str, ...]:
    """Return the arrays in the group of a column; none if it is one array.

    Parameters
    ----------
    source : ColumnSource
        The column.

    Raises
    ------
    FormatError
        If it has an encoding that format 1 does not have.
    """
    kind = source.encoding
    if not isinstance(kind, str) or kind not in MEMBERS or bool(MEMBERS[kind]) != source.is_group:
        raise FormatError(f"encoding {kind!r} is not one of format 1")
    return MEMBERS[kind]


def _categories(source: ColumnSource, n: int) -> npt.NDArray[Any]:
    count = source.length("categories")
    # Each category occurs, so there are at most as many as records.
    if count > n:
        raise FormatError(f"{count} categories for {n} records")
    return source.strings("categories", count)


def _numbers(source: ColumnSource, name: str, n: int) -> npt.NDArray[Any]:
    check_length(source, name, n)
    return source.numbers(name, n)


def _strings(source: ColumnSource, name: str, n: int) -> npt.NDArray[Any]:
    check_length(source, name, n)
    return source.strings(name, n)


def check_length(source: ColumnSource, name: str, n: int) -> None:
    """Raise FormatError if an array of a column has another number of values.

    Compared before it is read: a hostile shape would ask for any amount of memory.
    """
    if (found := source.length(name)) != n:
        raise FormatError(f"expected {n} values in {name or 'it'}, found {found}")
