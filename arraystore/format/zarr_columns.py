"""Columns of a Zarr store: AnnData's encoding, written and read by zarr-python."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from arraystore.errors import FormatError
from arraystore.format.base import StringChunks
from arraystore.format.columns import Column, StringColumn, Texts
from arraystore.format.encoding import ENCODING, check_length, members_of, read_encoded, string_parts, write_frame
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
    with _errors_named(directory, name):
        return read_encoded(_Source(directory / name), n)


def string_chunks(directory: Path, name: str, *, n: int, check: Callable[[Sequence[str]], None]) -> StringChunks | None:
    """Return how a column of strings is read a chunk at a time.

    Parameters
    ----------
    directory : Path
        Directory of the data frame.
    name : str
        Name of the column.
    n : int
        Number of records, which is that of the values.
    check : callable
        Given the paths of files below `directory`, compares them with their checksums.

    Returns
    -------
    StringChunks or None
        None if it is another column.

    Raises
    ------
    FormatError
        As `read_column`.
    """
    with _errors_named(directory, name):
        source = _Source(directory / name)
        arrays = members_of(source) or ("",)
        if source.encoding not in ("string-array", "nullable-string-array"):
            return None
        for array in arrays:
            check_length(source, array, n)
        rows = source.chunk_rows(arrays[0])

    def read(number: int) -> StringColumn:
        start, stop = number * rows, min((number + 1) * rows, n)
        # Of the documents that were compared: the store may have grown since, and they may be gone.
        check([f"{name}/{file}" for array in arrays for file in source.files(array, start, stop)])
        with _errors_named(directory, name):
            return StringColumn(*(source.part(array, start, stop) for array in arrays))

    return StringChunks(rows, read)


@contextmanager
def _errors_named(directory: Path, name: str) -> Iterator[None]:
    try:
        yield
    except FormatError as error:
        raise FormatError(f"{directory}: column {name!r}: {error}", error.code) from error
    # zarr-python and its codecs raise anything for what they cannot read.
    except Exception as error:
        raise FormatError(f"{directory}: column {name!r} cannot be read: {type(error).__name__}: {error}") from error


class _Source:
    """See `arraystore.format.encoding.ColumnSource`."""

    def __init__(self, path: Path) -> None:
        import zarr

        self._node: Any = zarr.open(path, mode="r", zarr_format=3)
        self.is_group = isinstance(self._node, zarr.Group)
        self.encoding: object = self._node.attrs.get(ENCODING)
        self._arrays: dict[str, Any] = {}

    def length(self, name: str) -> int:
        shape = self._array(name).shape
        if len(shape) != 1:
            raise FormatError(f"expected one dimension in {name or 'it'}, found shape {shape}")
        return int(shape[0])

    def numbers(self, name: str, length: int) -> npt.NDArray[Any]:  # noqa: ARG002 (of the protocol)
        values: npt.NDArray[Any] = self._array(name)[:]
        return values

    strings = numbers

    def chunk_rows(self, name: str) -> int:
        """Return how many rows a file of an array has."""
        return int(self._array(name).chunks[0])

    def files(self, name: str, start: int, stop: int) -> list[str]:
        """Return the files of some rows of an array, by their paths below the column."""
        rows = self.chunk_rows(name)
        return [f"{name}/c/{number}".lstrip("/") for number in range(start // rows, -(-stop // rows))]

    def part(self, name: str, start: int, stop: int) -> npt.NDArray[Any]:
        """Read some rows of an array."""
        values: npt.NDArray[Any] = self._array(name)[start:stop]
        return values

    def _array(self, name: str) -> Any:
        if name not in self._arrays:
            self._arrays[name] = self._node[name] if name else self._node
        return self._arrays[name]
