"""The rows of CLIBD's HDF5 files: padded JPEGs in groups that overlap, listed, compared and written without padding."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from arraystore.errors import DuplicateKeyError, SourceError
from arraystore.sources.archive import column
from arraystore.sources.hdf5_members import INDIRECT, Listing

if TYPE_CHECKING:
    from arraystore._core import Members

IMAGE, LENGTH = "image", "image_mask"
_MOST_GROUPS = 64
_BLOCK_NBYTES = 64 << 20
_BLOCK_ROWS = 65_536


def is_clibd(file: Any) -> bool:
    """Tell whether an open HDF5 file is one of CLIBD: nothing but groups, one of them at least with images and lengths.

    Parameters
    ----------
    file : h5py.File
        The file.

    Returns
    -------
    bool
    """
    # Files of a million data sets are not looked through.
    return len(file) <= _MOST_GROUPS and any(_has_images(file, name) for name in file)


def _has_images(file: Any, name: str) -> bool:
    import h5py

    group = file.get(name)
    if not isinstance(group, h5py.Group):
        return False
    image, length = group.get(IMAGE), group.get(LENGTH)
    return isinstance(image, h5py.Dataset) and isinstance(length, h5py.Dataset) and image.ndim == 2


def scan_rows(path: Path, file: Any, progress: Callable[[int, int], None]) -> Members:
    """List the rows of all groups, each called by its id; none of them can be read in place.

    Parameters
    ----------
    path : Path
        The file.
    file : h5py.File
        Opened.
    progress : callable
        Called with the numbers of rows and bytes so far.

    Returns
    -------
    Members

    Raises
    ------
    SourceError
        If rows have no id, or arrays of a group have different lengths.
    """
    listing = Listing()
    for name in groups_of(file):
        group = file[name]
        lengths = _lengths(path, group)
        listing.directories.append(name)
        ids = group.get(id_of(path, file))
        if ids is None or ids.shape != lengths.shape:
            raise SourceError(f"{path}: group {name}: expected an id for each of its {len(lengths):,} rows", "no-key")
        for start, texts in texts_of(path, ids):
            for text in texts:
                listing.names += f"{text}.jpg".encode()
                listing.ends.append(len(listing.names))
            progress(len(listing), 0)
            rows = len(texts)
            stop = start + rows
            numbers = listing.numbers
            numbers["nbytes"].frombytes(lengths[start:stop].astype(np.uint64).tobytes())
            numbers["offset"].extend(range(len(numbers["offset"]), len(numbers["offset"]) + rows))
            numbers["encoding"].extend(array("I", [INDIRECT]) * rows)
            numbers["directory"].extend(array("I", [len(listing.directories) - 1]) * rows)
            for unknown in ("height", "width"):
                numbers[unknown].extend(array("I", [0]) * rows)
    return listing.members(path)


def groups_of(file: Any) -> list[str]:
    """Return the names of the groups that hold images."""
    return [name for name in file if _has_images(file, name)]


def id_of(path: Path, file: Any) -> str:
    """Return the name of the ids that all groups have: `processid`, else `sampleid`."""
    names = [set(file[name]) for name in groups_of(file)]
    found = next((name for name in ("processid", "sampleid") if all(name in each for each in names)), None)
    if found is None:
        raise SourceError(f"{path}: expected 'processid' or 'sampleid' in each of its groups", "no-key")
    return found


def _lengths(path: Path, group: Any) -> npt.NDArray[np.int64]:
    lengths = np.asarray(group[LENGTH][()])
    rows, width = group[IMAGE].shape
    if lengths.shape != (rows,) or lengths.dtype.kind not in "iu":
        raise SourceError(
            f"{path}: group {group.name}: expected {rows:,} whole numbers in {LENGTH}, found {lengths.dtype} of the "
            f"shape {lengths.shape}"
        )
    strange = np.flatnonzero((lengths < 0) | (lengths > width))
    if len(strange):
        row = int(strange[0])
        raise SourceError(
            f"{path}: group {group.name}: row {row} has a length of {int(lengths[row])}, its bytes are {width}"
        )
    return lengths.astype(np.int64)


def texts_of(path: Path, data: Any) -> Iterator[tuple[int, list[str]]]:
    """Yield a part of an array of strings at a time, of fixed or variable length."""
    for start in range(0, len(data), _BLOCK_ROWS):
        part = data[start : start + _BLOCK_ROWS]
        try:
            yield start, [value.decode() if isinstance(value, bytes) else str(value) for value in part.tolist()]
        except UnicodeDecodeError as error:
            raise SourceError(f"{path}: {data.name}: a text is not UTF-8: {error}") from error


def representatives(members: Members) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return for each row the first one with its id, and the first one with its id that has an image, or -1.

    Parameters
    ----------
    members : Members
        The rows of all groups, which overlap.

    Returns
    -------
    first, pictured : ndarray of int64
    """
    from arraystore import _core

    n = len(members)
    pairs = column(_core.index_keys(members.stems)[2], np.uint32).astype(np.int64).reshape(-1, 2)
    first = np.arange(n)
    first[pairs[:, 1]] = pairs[:, 0]
    has_image = np.flatnonzero(column(members.nbytes, np.uint64))
    of_first = np.full(n, n)
    np.minimum.at(of_first, first[has_image], has_image)
    pictured = of_first[first]
    return first, np.where(pictured == n, -1, pictured)


def spill_rows(
    members: Members, number: int, file: Any, spill: BinaryIO
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Write the bytes of each image once, without their padding, and compare those that occur again.

    Parameters
    ----------
    members : Members
        The rows of all files.
    number : int
        Which of the sources the file is.
    file : h5py.File
        Opened.
    spill : binary file
        Open for writing and reading.

    Returns
    -------
    indices, offset : ndarray of int64
        The members that were written, and where they begin.

    Raises
    ------
    DuplicateKeyError
        If rows with the same id have different images.
    """
    _, pictured = representatives(members)
    nbytes = column(members.nbytes, np.uint64).astype(np.int64)
    offset = np.full(len(members), -1, np.int64)
    member = int(np.flatnonzero(column(members.source, np.uint16) == number)[0]) if len(members) else 0
    for name in groups_of(file):
        data = file[name][IMAGE]
        for start, stop in _blocks(data):
            index = np.arange(member + start, member + stop)
            sizes = nbytes[index]
            width = int(sizes.max(initial=0))
            rows = data[start:stop, :width]
            is_new = (pictured[index] == index) & (sizes > 0)
            kept = np.arange(width) < np.where(is_new, sizes, 0)[:, None]
            ends = spill.tell() + np.cumsum(np.where(is_new, sizes, 0))
            offset[index[is_new]] = (ends - sizes)[is_new]
            spill.write(rows[kept].tobytes())
            spill.flush()
            for row in np.flatnonzero(~is_new & (sizes > 0)).tolist():
                again, before = int(index[row]), int(pictured[index[row]])
                place = _place_of(offset, before, members)
                is_equal = sizes[row] == nbytes[before] and (
                    os.pread(spill.fileno(), int(sizes[row]), place) == rows[row, : sizes[row]].tobytes()
                )
                if not is_equal:
                    raise DuplicateKeyError(
                        f"two different images have the id {members.stems[again]!r}: {members.path(before)} and "
                        f"{members.path(again)}; keep one of the groups or files"
                    )
        member += len(data)
    written = np.flatnonzero(offset >= 0)
    return written, offset[written]


def _place_of(offset: npt.NDArray[np.int64], before: int, members: Members) -> int:
    if offset[before] < 0:
        raise DuplicateKeyError(
            f"the id {members.stems[before]!r} stands in two files, {members.path(before)} is the first of them: "
            "ingest them one at a time"
        )
    return int(offset[before])


def _blocks(data: Any) -> Iterator[tuple[int, int]]:
    rows, width = data.shape
    chunk = data.chunks[0] if data.chunks else 1
    step = max(_BLOCK_NBYTES // max(width, 1) // chunk, 1) * chunk
    for start in range(0, rows, step):
        yield start, min(start + step, rows)
