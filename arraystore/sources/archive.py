"""Folders, archives and HDF5 files as tables of members: which path is what, and a thin layer over the core's scan."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from arraystore.errors import SourceError

if TYPE_CHECKING:
    from arraystore._core import Buffer, Members, Strings

Number = TypeVar("Number", bound=np.generic)

# Enough for what a store says of itself, which comes first.
_DOCUMENT_NBYTES = 1 << 16


def column(buffer: Buffer, dtype: type[Number]) -> npt.NDArray[Number]:
    """View one of the core's columns as an array, without a copy.

    Parameters
    ----------
    buffer : Buffer
        As the core returned it.
    dtype : type
        Its documented type.

    Returns
    -------
    ndarray
        Read-only.
    """
    view = memoryview(buffer).toreadonly()
    # NumPy refuses a buffer of no bytes.
    return np.frombuffer(view, dtype=dtype) if view.nbytes else np.empty(0, dtype=dtype)


def scan_sources(
    paths: Sequence[str | os.PathLike[str]],
    *,
    with_indirect: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Members:
    """List the files of folders and zip archives, and the data sets of HDF5 files, without reading any of them.

    Parameters
    ----------
    paths : sequence of path-like
        Folders, archives and HDF5 files.
    with_indirect : bool, default False
        Whether data sets of HDF5 files are listed that cannot be read in place; see `hdf5_members.scan_hdf5`.
    progress : callable, optional
        Called with the numbers of files and bytes so far.

    Returns
    -------
    Members

    Raises
    ------
    SourceError
        If no path is given, an archive or HDF5 file is damaged, or one is a store.
    FileNotFoundError
        If a path does not exist.
    """
    from arraystore import _core
    from arraystore.sources.hdf5_members import is_hdf5, join, scan_hdf5

    if not paths:
        raise SourceError("no source given: name a folder of images, or one or several zip archives or HDF5 files")
    absolute = [Path(path).absolute() for path in paths]
    for path in absolute:
        _refuse_store(path)
    parts: list[Members] = []
    before = 0

    def advance(members: int, nbytes: int) -> None:
        if progress is not None:
            progress(before + members, nbytes)

    for is_container, run in itertools.groupby(absolute, is_hdf5):
        if is_container:
            for path in run:
                parts.append(scan_hdf5(path, with_indirect=with_indirect, progress=advance))
                before += len(parts[-1])
        else:
            parts.append(_core.scan([str(path) for path in run], progress=advance))
            before += len(parts[-1])
    return join(parts)


def _refuse_store(path: Path) -> None:
    document = path / "zarr.json"
    if document.is_file() and b'"format_version"' in document.read_bytes()[:_DOCUMENT_NBYTES]:
        raise SourceError(f"{path} is a store already, no source: open it as it is", "store-as-source")


def concatenate(one: Strings, other: Strings) -> Strings:
    """Join two lists of strings.

    Parameters
    ----------
    one, other : Strings
        The strings.

    Returns
    -------
    Strings
    """
    from arraystore import _core

    offsets, more = column(one.offsets, np.uint64), column(other.offsets, np.uint64)
    data = np.concatenate([column(one.data, np.uint8), column(other.data, np.uint8)])
    return _core.Strings(data, np.concatenate([offsets, more[1:] + offsets[-1]]))
