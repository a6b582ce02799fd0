"""Columns of a Zarr store: AnnData's encoding, written and read by zarr-python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from arraystore.errors import FormatError
from arraystore.format.columns import Column, Texts
from arraystore.format.encoding import ENCODING, read_encoded, string_parts, write_frame
from arraystore.format.writer import Frame

if TYPE_CHECKING:
    import zarr

CHUNK_ROWS = 1_048_576
# Strings pass through Python objects, so that fewer of them are held at a time.
STRING_CHUNK_ROWS = 65_536


# ---- writing ----


def write_columns(directory: Path, frame: Frame) -> None:
    """Write the data frame of a store, in place of one that may be there.

    Parameters
    ----------
    directory : Path
        Directory of the data frame.
    frame : Frame
        Its index and columns.
    """
    write_frame(_Sink(directory), frame)


class _Sink:
    """See `arraystore.format.encoding.FrameSink`."""

    def __init__(self, directory: Path) -> None:
        import zarr

        self._root: zarr.Group = zarr.open_group(directory, mode="w", zarr_format=3)

    def group(self, path: str, attributes: Mapping[str, Any]) -> None:
        if path:
            self._root.create_group(path, attributes=dict(attributes))
        else:
            self._root.update_attributes(dict(attributes))

    def numbers(self, path: str, values: npt.NDArray[Any], attributes: Mapping[str, Any]) -> None:
        array = self._root.create_array(
            path,
            shape=values.shape,
            dtype=values.dtype,
            chunks=(min(CHUNK_ROWS, max(len(values), 1)),),
            attributes=dict(attributes),
        )
        array[:] = values

    def strings(self, path: str, values: Texts | npt.NDArray[Any], attributes: Mapping[str, Any]) -> None:
        array = self._root.create_array(
            path,
            shape=(len(values),),
            dtype="string",
            chunks=(min(STRING_CHUNK_ROWS, max(len(values), 1)),),
            attributes=dict(attributes),
        )
        for start, part in string_parts(values, STRING_CHUNK_ROWS):
            array[start : start + len(part)] = np.array(part, dtype=object)


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
        return read_encoded(_Source(zarr.open(directory / name, mode="r", zarr_format=3)), n)
    except FormatError as error:
        raise FormatError(f"{directory}: column {name!r}: {error}", error.code) from error
    # zarr-python and its codecs raise anything for what they cannot read.
    except Exception as error:
        raise FormatError(f"{directory}: column {name!r} cannot be read: {type(error).__name__}: {error}") from error


class _Source:
    """See `arraystore.format.encoding.ColumnSource`."""

    def __init__(self, node: Any) -> None:
        import zarr

        self._node = node
        self.is_group = isinstance(node, zarr.Group)
        self.encoding: object = node.attrs.get(ENCODING)

    def length(self, name: str) -> int:
        shape = self._array(name).shape
        if len(shape) != 1:
            raise FormatError(f"expected one dimension in {name or 'it'}, found shape {shape}")
        return int(shape[0])

    def numbers(self, name: str, length: int) -> npt.NDArray[Any]:  # noqa: ARG002 (of the protocol)
        values: npt.NDArray[Any] = self._array(name)[:]
        return values

    strings = numbers

    def _array(self, name: str) -> Any:
        return self._node[name] if name else self._node
