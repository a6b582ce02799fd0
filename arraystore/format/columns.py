"""Columns as a data frame in AnnData's on-disk encoding (dataframe 0.2.0), through zarr-python."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from arraystore.errors import FormatError
from arraystore.format.zarr import COLUMNS

if TYPE_CHECKING:
    import zarr

CHUNK_ROWS = 1_048_576
# Strings pass through Python objects, so that fewer of them are held at a time.
STRING_CHUNK_ROWS = 65_536


class Texts(Protocol):
    """A long list of strings that is turned into Python objects a part at a time."""

    def __len__(self) -> int: ...
    def to_list(self, start: int = 0, stop: int | None = None) -> list[str]:
        """Return the strings from `start` to `stop`."""


@dataclass(frozen=True, slots=True)
class CategoricalColumn:
    """Codes into a list of categories; code -1 is missing."""

    codes: npt.NDArray[np.signedinteger[Any]]
    categories: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.codes)


@dataclass(frozen=True, slots=True)
class NumericColumn:
    """Numbers; a missing float is NaN."""

    values: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class NullableColumn:
    """Integers with a mask that is True where the value is missing."""

    values: npt.NDArray[np.integer[Any]]
    mask: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class StringColumn:
    """Strings, with a mask that is True where the value is missing, or None if none is."""

    values: npt.NDArray[Any]
    mask: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class TextsColumn:
    """A `StringColumn` that is yet to be written, and too large for Python objects."""

    values: Texts
    mask: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.values)


Column: TypeAlias = CategoricalColumn | NumericColumn | NullableColumn | StringColumn
WritableColumn: TypeAlias = Column | TextsColumn


def categorical(codes: npt.ArrayLike, categories: Sequence[str]) -> CategoricalColumn:
    """Make a categorical column as pandas would: sorted categories, none unused, the smallest type of codes.

    Parameters
    ----------
    codes : array_like of int, shape (n,)
        Index into `categories`, -1 where missing.
    categories : sequence of str
        Distinct strings in any order.

    Returns
    -------
    CategoricalColumn
    """
    given = np.asarray(codes, dtype=np.int64)
    used = np.flatnonzero(np.bincount(given[given >= 0], minlength=len(categories)))
    names: npt.NDArray[Any] = np.array([categories[index] for index in used.tolist()], dtype=np.object_)
    order = np.argsort(names) if len(names) else np.zeros(0, dtype=np.int64)
    dtype = _code_dtype(len(names))
    # One more entry than categories, so that code -1 finds -1 at the end.
    recode = np.full(len(categories) + 1, -1, dtype=dtype)
    recode[used[order]] = np.arange(len(order), dtype=dtype)
    return CategoricalColumn(recode[given], names[order])


def _code_dtype(count: int) -> type[np.signedinteger[Any]]:
    if count <= np.iinfo(np.int8).max:
        return np.int8
    return np.int16 if count <= np.iinfo(np.int16).max else np.int32


# ---- writing ----


def write_columns(
    store: Path, index_name: str, index: Texts | npt.NDArray[Any], columns: Mapping[str, WritableColumn]
) -> None:
    """Write the data frame of a store, in place of one that may be there.

    Parameters
    ----------
    store : Path
        Directory of the store.
    index_name : str
        Name of the index: the key of the store.
    index : Texts or ndarray of str
        Key of every record.
    columns : mapping of str to WritableColumn
        Columns in their order, each as long as the index.
    """
    import zarr

    for name, column in columns.items():
        if len(column) != len(index):
            raise ValueError(f"column {name} has {len(column)} values for {len(index)} records")
    attributes = {"column-order": list(columns), "_index": index_name}
    frame = zarr.open_group(store / COLUMNS, mode="w", zarr_format=3)
    frame.update_attributes({**attributes, **_encoding("dataframe", "0.2.0")})
    _write_strings(frame, index_name, index)
    for name, column in columns.items():
        _write_column(frame, name, column)


def _write_column(frame: zarr.Group, name: str, column: WritableColumn) -> None:
    match column:
        case CategoricalColumn(codes, categories):
            group = _group(frame, name, "categorical", "0.2.0", ordered=False)
            _write_array(group, "codes", codes)
            _write_strings(group, "categories", categories)
        case NumericColumn(values):
            _write_array(frame, name, values)
        case NullableColumn(values, mask):
            group = _group(frame, name, "nullable-integer", "0.1.0")
            _write_array(group, "values", values)
            _write_array(group, "mask", mask)
        case StringColumn() | TextsColumn() if column.mask is None:
            _write_strings(frame, name, column.values)
        case StringColumn() | TextsColumn():
            group = _group(frame, name, "nullable-string-array", "0.1.0")
            _write_strings(group, "values", column.values)
            _write_array(group, "mask", column.mask)


def _encoding(kind: str, version: str) -> dict[str, Any]:
    return {"encoding-type": kind, "encoding-version": version}


def _group(parent: zarr.Group, name: str, kind: str, version: str, **attributes: Any) -> zarr.Group:
    return parent.create_group(name, attributes={**attributes, **_encoding(kind, version)})


def _write_array(group: zarr.Group, name: str, values: npt.NDArray[Any]) -> None:
    array = group.create_array(
        name,
        shape=values.shape,
        dtype=values.dtype,
        chunks=(min(CHUNK_ROWS, max(len(values), 1)),),
        attributes=_encoding("array", "0.2.0"),
    )
    array[:] = values


def _write_strings(group: zarr.Group, name: str, values: Texts | npt.NDArray[Any]) -> None:
    array = group.create_array(
        name,
        shape=(len(values),),
        dtype="string",
        chunks=(min(STRING_CHUNK_ROWS, max(len(values), 1)),),
        attributes=_encoding("string-array", "0.2.0"),
    )
    for start, part in _parts(values):
        array[start : start + len(part)] = part


def _parts(values: Texts | npt.NDArray[Any]) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    for start in range(0, len(values), STRING_CHUNK_ROWS):
        stop = min(start + STRING_CHUNK_ROWS, len(values))
        part = values[start:stop] if isinstance(values, np.ndarray) else values.to_list(start, stop)
        yield start, np.array(part, dtype=object)


# ---- reading ----


def read_column(store: str | os.PathLike[str], name: str) -> Column:
    """Read one column, or the index by its name, and nothing of the others.

    Parameters
    ----------
    store : path-like
        Directory of the store.
    name : str
        Name of the column.

    Returns
    -------
    CategoricalColumn, NumericColumn, NullableColumn or StringColumn

    Raises
    ------
    KeyError
        If there is no such column.
    FormatError
        If it is encoded in a way that format 1 does not have.
    """
    import zarr

    path = Path(store) / COLUMNS / name
    if "/" in name or not path.is_dir():
        raise KeyError(f"no column {name!r} in {store}")
    node = zarr.open(path, mode="r", zarr_format=3)
    kind = node.attrs.get("encoding-type")
    match node, kind:
        case zarr.Array(), "array":
            return NumericColumn(_read(node))
        case zarr.Array(), "string-array":
            return StringColumn(_read(node))
        case zarr.Group(), "categorical":
            return CategoricalColumn(_read(node["codes"]), _read(node["categories"]))
        case zarr.Group(), "nullable-integer":
            return NullableColumn(_read(node["values"]), _read(node["mask"]))
        case zarr.Group(), "nullable-string-array":
            return StringColumn(_read(node["values"]), _read(node["mask"]))
    raise FormatError(f"{store}: column {name}: encoding {kind!r} is not one of format 1")


def _read(array: object) -> npt.NDArray[Any]:
    return cast("npt.NDArray[Any]", cast("Any", array)[:])
