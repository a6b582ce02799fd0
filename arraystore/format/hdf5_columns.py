"""Columns of an HDF5 store: AnnData's encoding, written by h5py, and read where the bytes lie, but for strings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from arraystore import _core
from arraystore.errors import DamagedStoreError, FormatError, InvalidRequestError
from arraystore.format.base import COLUMNS
from arraystore.format.columns import Column, Texts
from arraystore.format.encoding import ENCODING, read_encoded, string_parts, write_frame
from arraystore.format.hdf5_arrays import STRINGS, create, describe, find, opened
from arraystore.format.writer import Frame

if TYPE_CHECKING:
    import h5py

# Strings pass through Python objects, so that fewer of them are held at a time.
STRING_PART_ROWS = 65_536

_ADVICE = "restore the file from a copy; arraystore verify lists all that is damaged"


# ---- writing ----


def write_columns(file: h5py.File, frame: Frame, *, check: Callable[[], None] = lambda: None) -> dict[str, int]:
    """Write the data frame of a store.

    Parameters
    ----------
    file : h5py.File
        The file, without columns so far.
    frame : Frame
        Its index and columns.
    check : callable, optional
        Called after each part; may raise what the file did not.

    Returns
    -------
    dict of str to int
        CRC-32C of each data set by its path in the file: of the bytes of numbers, and of strings in UTF-8 with a zero
        byte behind each.

    Raises
    ------
    InvalidRequestError
        If a string holds a zero byte, where HDF5 would end it.
    """
    sink = _Sink(file, check)
    write_frame(sink, frame)
    return sink.checksums


class _Sink:
    """See `arraystore.format.encoding.FrameSink`."""

    def __init__(self, file: h5py.File, check: Callable[[], None]) -> None:
        self._frame = file.create_group(COLUMNS, track_order=False)
        self._check = check
        self.checksums: dict[str, int] = {}

    def group(self, path: str, attributes: Mapping[str, Any]) -> None:
        _set_attributes(self._frame.create_group(path, track_order=False) if path else self._frame, attributes)

    def numbers(self, path: str, values: npt.NDArray[Any], attributes: Mapping[str, Any]) -> None:
        dataset = create(*self._parent(path), values.dtype, values.shape)
        little = np.ascontiguousarray(values, dataset.dtype)
        if len(little):
            dataset[...] = little
        self._check()
        _set_attributes(dataset, attributes)
        self.checksums[f"{COLUMNS}/{path}"] = _core.crc32c(little.tobytes())

    def strings(self, path: str, values: Texts | npt.NDArray[Any], attributes: Mapping[str, Any]) -> None:
        import h5py

        dataset = create(*self._parent(path), h5py.string_dtype(), (len(values),))
        checksum = 0
        for start, part in string_parts(values, STRING_PART_ROWS):
            checksum = _core.crc32c(_terminated(path, start, part), checksum)
            dataset[start : start + len(part)] = np.array(part, dtype=object)
            self._check()
        _set_attributes(dataset, attributes)
        self.checksums[f"{COLUMNS}/{path}"] = checksum

    def _parent(self, path: str) -> tuple[h5py.Group, str]:
        group, _, name = path.rpartition("/")
        return (self._frame[group] if group else self._frame), name


def _terminated(path: str, start: int, part: list[str]) -> bytes:
    joined = "\0".join([*part, ""]).encode()
    if joined.count(0) != len(part):
        row = start + next(row for row, text in enumerate(part) if "\0" in text)
        raise InvalidRequestError(
            f"{path}: value {row} holds a zero byte, where a string of HDF5 ends: remove it from the table, or make a "
            "store in Zarr",
            "zero-byte",
        )
    return joined


def _set_attributes(node: Any, attributes: Mapping[str, Any]) -> None:
    import h5py

    for name, value in attributes.items():
        # An empty list would become an array of numbers.
        node.attrs[name] = np.array(value, dtype=h5py.string_dtype()) if isinstance(value, list) else value


# ---- reading ----


def read_column(path: Path, name: str, *, n: int, checksums: Mapping[str, int]) -> Column:
    """Read one column, or the index by its name, each of its data sets compared with its checksum.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Name of the column.
    n : int
        Number of records, which is that of the values.
    checksums : mapping of str to int
        Of the specification.

    Returns
    -------
    CategoricalColumn, NumericColumn, NullableColumn or StringColumn

    Raises
    ------
    FormatError
        If there is no such column or no checksums for it, it has another number of values, or it is stored in a way
        that format 1 does not have.
    DamagedStoreError
        If it is not as it was written.
    """
    with opened(path) as file:
        try:
            return read_encoded(Hdf5Column(file, name, checksums), n)
        except (FormatError, DamagedStoreError) as error:
            raise type(error)(f"{path}: column {name!r}: {error}", error.code) from error
        # h5py raises anything for what it cannot read.
        except Exception as error:
            raise FormatError(f"{path}: column {name!r} cannot be read: {type(error).__name__}: {error}") from error


class Hdf5Column:
    """One column as it lies in a file; see `arraystore.format.encoding.ColumnSource`.

    Parameters
    ----------
    file : h5py.File
        The file.
    name : str
        Name of the column.
    checksums : mapping of str to int
        Of the specification.

    Raises
    ------
    FormatError
        If there is no such column.
    """

    def __init__(self, file: h5py.File, name: str, checksums: Mapping[str, int]) -> None:
        import h5py

        self._file = file
        self._path = f"{COLUMNS}/{name}"
        self._checksums = checksums
        node = find(file, self._path) if name and "/" not in name else None
        if node is None:
            raise FormatError("the store has no such column")
        self.is_group = isinstance(node, h5py.Group)
        self.encoding: object = node.attrs.get(ENCODING)

    def length(self, name: str) -> int:
        """Return the number of values in an array of one dimension."""
        path, node = self._array(name)
        shape = describe(node).shape
        if len(shape) != 1:
            raise FormatError(f"data set {path}: expected one dimension, found shape {shape}")
        return shape[0]

    def numbers(self, name: str, length: int) -> npt.NDArray[Any]:
        """Read an array of numbers or truth values."""
        path, node = self._array(name)
        stored = describe(node)
        if stored.dtype == STRINGS or np.dtype(stored.dtype or "O").kind not in "biuf":
            raise FormatError(f"data set {path}: expected numbers, found {stored.dtype or stored.problem}")
        dtype = np.dtype(stored.dtype)
        offset, _ = stored.place(path, dtype.name, (length,), Path(self._file.filename).stat().st_size)
        values = np.fromfile(self._file.filename, dtype, length, offset=offset)
        self._check(path, _core.crc32c(values.tobytes()))
        if dtype.kind == "b" and values.view(np.uint8).max(initial=0) > 1:
            raise FormatError(f"data set {path}: expected truth values")
        return values

    def strings(self, name: str, length: int) -> npt.NDArray[Any]:
        """Read an array of strings."""
        path, node = self._array(name)
        describe(node).place(path, STRINGS, (length,), Path(self._file.filename).stat().st_size)
        values: npt.NDArray[Any] = np.empty(length, _string_dtype())
        checksum = 0
        for start, part in _read_parts(node, length):
            joined = b"\0".join([*part, b""])
            checksum = _core.crc32c(joined, checksum)
            try:
                values[start : start + len(part)] = joined.decode().split("\0")[:-1]
            except ValueError:
                # Not UTF-8, or of zero bytes: damage, which the checksum shows.
                checksum = -1
                break
        self._check(path, checksum)
        return values

    def checksum(self, name: str) -> int:
        """Return the CRC-32C of an array as it lies in the file."""
        path, node = self._array(name)
        stored = describe(node)
        nbytes = Path(self._file.filename).stat().st_size
        if stored.dtype == STRINGS:
            stored.place(path, STRINGS, (None,), nbytes)
            checksum = 0
            for _, part in _read_parts(node, stored.shape[0]):
                checksum = _core.crc32c(b"\0".join([*part, b""]), checksum)
            return checksum
        offset, nbytes = stored.place(path, np.dtype(stored.dtype or "u1").name, (None,), nbytes)
        return _core.file_crc32c(self._file.filename, offset=offset, nbytes=nbytes)

    def _array(self, name: str) -> tuple[str, Any]:
        path = f"{self._path}/{name}" if name else self._path
        node = find(self._file, path)
        if node is None:
            raise FormatError(f"the store has no data set {path}")
        return path, node

    def _check(self, path: str, found: int) -> None:
        if path not in self._checksums:
            raise FormatError(f"data set {path}: the store has no checksum for it")
        if found != self._checksums[path]:
            shown = f"{found:08x}" if found >= 0 else "no valid UTF-8"
            raise DamagedStoreError(
                f"data set {path}: expected CRC-32C {self._checksums[path]:08x}, found {shown}: {_ADVICE}", "checksum"
            )


def _read_parts(dataset: h5py.Dataset, length: int) -> Iterator[tuple[int, list[bytes]]]:
    for start in range(0, length, STRING_PART_ROWS):
        yield start, dataset[start : min(start + STRING_PART_ROWS, length)].tolist()


def _string_dtype() -> Any:
    # That of zarr-python: of NumPy 2, much smaller than Python objects.
    return np.dtypes.StringDType() if hasattr(np.dtypes, "StringDType") else np.dtype(object)
