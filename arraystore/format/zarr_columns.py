"""Columns as a data frame in AnnData's on-disk encoding (dataframe 0.2.0), written and read by zarr-python."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    import zarr

CHUNK_ROWS = 1_048_576
# Strings pass through Python objects, so that fewer of them are held at a time.
STRING_CHUNK_ROWS = 65_536


# ---- writing ----


def write_columns(
    directory: Path, index_name: str, index: Texts | npt.NDArray[Any], columns: Mapping[str, WritableColumn]
) -> None:
    """Write the data frame of a store, in place of one that may be there.

    Parameters
    ----------
    directory : Path
        Directory of the data frame.
    index_name : str
        Name of the index: the key of the store.
    index : Texts or ndarray of str
        Key of every record.
    columns : mapping of str to WritableColumn
        Columns in their order, each as long as the index.
    """
    import zarr

    attributes = {"column-order": list(columns), "_index": index_name}
    frame = zarr.open_group(directory, mode="w", zarr_format=3)
    frame.update_attributes({**attributes, **_encoding("dataframe", "0.2.0")})
    _write_strings(frame, index_name, index)
    # One at a time, since some mappings make a column when they are asked for it.
    for name, column in columns.items():
        if len(column) != len(index):
            raise ValueError(f"column {name} has {len(column)} values for {len(index)} records")
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


def read_column(directory: Path, name: str, *, n: int) -> Column:
    """Read one column, or the index by its name, and nothing of the others.

    Parameters
    ----------
    directory : Path
        Directory of the data frame.
    name : str
        Name of the column.
    n : int
        Number of records, which is that of the values.

    Returns
    -------
    CategoricalColumn, NumericColumn, NullableColumn or StringColumn

    Raises
    ------
    FormatError
        If there is no such column, it has another number of values, or it is encoded in a way that format 1 does not
        have.
    """
    import zarr

    try:
        node = zarr.open(directory / name, mode="r", zarr_format=3)
        return _decoded(node, n)
    except FormatError as error:
        raise FormatError(f"{directory}: column {name!r}: {error}", error.code) from error
    # zarr-python and its codecs raise anything for what they cannot read.
    except Exception as error:
        raise FormatError(f"{directory}: column {name!r} cannot be read: {type(error).__name__}: {error}") from error


def _decoded(node: Any, n: int) -> Column:
    import zarr

    kind = node.attrs.get("encoding-type")
    match node, kind:
        case zarr.Array(), "array":
            return NumericColumn(_read(node, n))
        case zarr.Array(), "string-array":
            return StringColumn(_read(node, n))
        case zarr.Group(), "categorical":
            return CategoricalColumn(_read(node["codes"], n), _read_categories(node["categories"], n))
        case zarr.Group(), "nullable-integer":
            return NullableColumn(_read(node["values"], n), _read(node["mask"], n))
        case zarr.Group(), "nullable-string-array":
            return StringColumn(_read(node["values"], n), _read(node["mask"], n))
    raise FormatError(f"encoding {kind!r} is not one of format 1")


def _read_categories(array: Any, n: int) -> npt.NDArray[Any]:
    (count,) = array.shape
    # Each category occurs, so there are at most as many as records.
    if count > n:
        raise FormatError(f"{count} categories for {n} records")
    return _read(array, count)


def _read(array: Any, length: int) -> npt.NDArray[Any]:
    # Compared before it is read: a hostile shape would ask for any amount of memory.
    if array.shape != (length,):
        raise FormatError(f"expected {length} values in {array.basename or 'it'}, found shape {array.shape}")
    values: npt.NDArray[Any] = array[:]
    return values
