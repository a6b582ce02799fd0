"""Data sets of an HDF5 file: how they are made, how they are found, and where in the file their bytes lie."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arraystore.errors import DamagedStoreError, FormatError

if TYPE_CHECKING:
    import h5py

# NumPy's name of a type of ours, and the kind of a data set of strings.
STRINGS = "strings"


@dataclass(frozen=True, slots=True)
class Stored:
    """A data set as HDF5 describes it; nothing of it is believed yet.

    Parameters
    ----------
    dtype : str
        NumPy's string of its type with the byte order, such as `<u8`; or `STRINGS` for strings of any length.
    shape : tuple of int
        Lengths of its dimensions.
    offset : int or None
        Where in the file its bytes begin; None if no place was given to them.
    problem : str
        Why it is not one run of bytes of this file; empty if it is.
    """

    dtype: str
    shape: tuple[int, ...]
    offset: int | None
    problem: str = ""

    def place(self, path: str, dtype: str, shape: tuple[int | None, ...], file_nbytes: int) -> tuple[int, int]:
        """Check that this is the data set that the format says, and return where its bytes are.

        Parameters
        ----------
        path : str
            Its path, for messages.
        dtype : str
            Expected type, as NumPy calls it, such as `uint64`; or `STRINGS`.
        shape : tuple of int or None
            Expected lengths; None for one that is its own.
        file_nbytes : int
            Length of the file.

        Returns
        -------
        offset, nbytes : int
            0 and 0 if it has no elements.

        Raises
        ------
        FormatError
            Naming the data set, what was expected and what was found.
        """
        # References to the strings take 16 bytes each: length, address and index in a heap.
        wanted = dtype if dtype == STRINGS else np.dtype(dtype).newbyteorder("<").str
        if self.problem:
            raise FormatError(f"data set {path}: expected one contiguous run of bytes, found {self.problem}")
        if self.dtype != wanted:
            raise FormatError(f"data set {path}: expected type {wanted}, found {self.dtype}")
        if len(self.shape) != len(shape) or any(
            length is not None and length != found for length, found in zip(shape, self.shape, strict=True)
        ):
            raise FormatError(f"data set {path}: expected shape {shape}, found {self.shape}")
        nbytes = math.prod(self.shape) * (16 if dtype == STRINGS else np.dtype(dtype).itemsize)
        if nbytes == 0:
            return 0, 0
        if self.offset is None:
            raise FormatError(f"data set {path}: expected {nbytes} bytes in the file, found none")
        if self.offset + nbytes > file_nbytes:
            raise FormatError(
                f"data set {path}: {nbytes} bytes from offset {self.offset} on lie beyond the end of the file "
                f"of {file_nbytes} bytes"
            )
        return self.offset, nbytes


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open a file to read what it says of itself; all that the HDF5 library says against it is an error of ours.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    h5py.File

    Raises
    ------
    FormatError
        If it is no HDF5 file, or is being written.
    DamagedStoreError
        If it is cut short.
    OSError
        If it cannot be read.
    """
    import h5py

    try:
        # Where a file system has no locks, it is read without.
        file = h5py.File(path, "r", locking="best-effort")
    except OSError as error:
        raise _refusal(path, error) from error
    with file:
        yield file


def _refusal(path: Path, error: OSError) -> Exception:
    text = str(error)
    if isinstance(error, BlockingIOError) or "already open for" in text:
        return FormatError(
            f"{path}: the file is open for writing, or was left so by a program that was killed: close it there and "
            "open it again; if nobody writes to it, clear its mark with `h5clear -s FILE` of the HDF5 tools "
            f"({text})",
            "being-written",
        )
    if error.errno is not None:
        return error
    if "truncated" in text:
        return DamagedStoreError(
            f"{path}: the file is cut short: restore it from a copy, or ingest again ({text})", "file-too-short"
        )
    return FormatError(f"{path}: not an HDF5 file that can be read: {text}")


def find(parent: h5py.Group, path: str) -> Any:
    """Return the node at a path, or None if there is none; only links within the tree itself are followed.

    Parameters
    ----------
    parent : h5py.Group
        Where the path begins.
    path : str
        Names with `/` between them.

    Raises
    ------
    FormatError
        If a link leads elsewhere, maybe into another file.
    """
    import h5py

    node: Any = parent
    for name in path.split("/"):
        link = node.get(name, getlink=True) if isinstance(node, h5py.Group) else None
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise FormatError(f"{path}: expected it in the file itself, found a link")
        node = node[name]
    return node


def describe(node: Any) -> Stored:
    """Say how a data set lies in its file.

    Parameters
    ----------
    node : h5py.Dataset
        The data set; something else is a problem of it.

    Returns
    -------
    Stored
    """
    import h5py

    if not isinstance(node, h5py.Dataset):
        return Stored("", (), None, "a group" if isinstance(node, h5py.Group) else "no data set")
    properties = node.id.get_create_plist()
    names = {h5py.h5d.COMPACT: "a compact one", h5py.h5d.CHUNKED: "chunks", h5py.h5d.VIRTUAL: "a virtual data set"}
    layout = properties.get_layout()
    problem = "" if layout == h5py.h5d.CONTIGUOUS else names.get(layout, "another layout")
    if not problem and properties.get_external_count():
        problem = "storage in other files"
    try:
        dtype = node.dtype
    except TypeError as error:
        return Stored("", (), None, f"a type that NumPy lacks ({error})")
    text = h5py.check_string_dtype(dtype)
    name = STRINGS if text is not None and text.length is None else dtype.str
    if node.shape is None:
        return Stored(name, (), None, problem or "no shape")
    # Of a data set in other files or in chunks there is no such place.
    offset = None if problem else node.id.get_offset()
    return Stored(name, tuple(map(int, node.shape)), offset, problem)


def create(group: h5py.Group, name: str, dtype: Any, shape: tuple[int, ...]) -> h5py.Dataset:
    """Make a contiguous data set that has its place in the file at once, and that nothing is written into.

    Parameters
    ----------
    group : h5py.Group
        Where.
    name : str
        Its name.
    dtype : dtype_like
        Its type, or that of `h5py.string_dtype()`.
    shape : tuple of int
        Lengths of its dimensions.

    Returns
    -------
    h5py.Dataset
    """
    import h5py

    little = np.dtype(dtype).newbyteorder("<")
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.CONTIGUOUS)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    # A time would make two files of the same content differ.
    properties.set_obj_track_times(False)
    if h5py.check_string_dtype(little) is None:
        # The file is sparse until bytes are written. HDF5 wants references to strings filled.
        properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    identifier = h5py.h5d.create(
        group.id,
        name.encode(),
        h5py.h5t.py_create(little, logical=True),
        h5py.h5s.create_simple(shape),
        dcpl=properties,
    )
    return h5py.Dataset(identifier)
