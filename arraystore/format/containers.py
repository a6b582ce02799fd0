"""The containers that a store may lie in, and which of them a path is: the one place that names them all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from arraystore.errors import FormatError
from arraystore.format.zarr import ZarrLayout, is_zarr, open_zarr

if TYPE_CHECKING:
    from arraystore.format.base import Layout
    from arraystore.format.writer import GrowingStore, StoreWriter

_ZARR_SUFFIX = ".zarr"
_HDF5_SUFFIXES = (".h5", ".hdf5")
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"

# HDF5 and all that writes are loaded where they are needed: who opens a store in Zarr starts sooner without them.


def open_layout(path: str | os.PathLike[str]) -> Layout:
    """Read what a store says of itself, and nothing else.

    Parameters
    ----------
    path : path-like
        The store: a directory in Zarr, or a file in HDF5.

    Returns
    -------
    Layout

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    UnfinishedStoreError
        If the ingest of this store was interrupted.
    FormatError
        If it is something else than an arraystore, or one of a newer format, or a file that is open for writing.
    DamagedStoreError
        If the file is cut short.
    """
    if is_hdf5(path) or _should_be_hdf5(path):
        from arraystore.format.hdf5 import open_hdf5

        return open_hdf5(path)
    return open_zarr(path)


def is_store(path: str | os.PathLike[str]) -> bool:
    """Tell whether a path is a store, finished or not, or what should be one: `open_layout` says what is wrong with it.

    All else may be a source of images, such as a folder or an archive.

    Parameters
    ----------
    path : path-like
        Anything.

    Returns
    -------
    bool
    """
    if is_hdf5(path) or _should_be_hdf5(path):
        from arraystore.format.hdf5 import is_hdf5_store

        # A publisher's HDF5 file is none.
        return is_hdf5_store(path)
    return is_zarr(Path(path))


def is_hdf5(path: str | os.PathLike[str]) -> bool:
    """Tell whether a path is an HDF5 file, whatever it holds: by its signature, maybe behind a user block."""
    try:
        with Path(path).open("rb") as file:
            nbytes = file.seek(0, os.SEEK_END)
            start = 0
            while start < nbytes:
                file.seek(start)
                if file.read(len(_HDF5_SIGNATURE)) == _HDF5_SIGNATURE:
                    return True
                # HDF5 File Format Specification, II.A: at 0, 512, 1024, 2048 and so on.
                start = max(512, 2 * start)
    except OSError:
        pass
    return False


def open_writer(path: str | os.PathLike[str]) -> StoreWriter:
    """Return what makes a store, or goes on making one, at a path; nothing is written yet.

    Parameters
    ----------
    path : path-like
        Where the store is to be: a file in HDF5 if its name ends with `.h5` or `.hdf5`, else a directory in Zarr.

    Returns
    -------
    StoreWriter
    """
    if _is_named_hdf5(path):
        from arraystore.format.hdf5_writer import Hdf5Writer

        return Hdf5Writer(path)
    from arraystore.format.zarr_writer import ZarrWriter

    return ZarrWriter(path)


def open_growing(path: str | os.PathLike[str]) -> GrowingStore:
    """Return what adds records to a finished store; nothing is written yet.

    Parameters
    ----------
    path : path-like
        The store.

    Returns
    -------
    GrowingStore

    Raises
    ------
    FileNotFoundError, UnfinishedStoreError, FormatError
        As `open_layout`; also FormatError if the container is one that does not grow, or the store has fields of
        arrays.
    """
    layout = open_layout(path)
    if not isinstance(layout, ZarrLayout):
        raise FormatError(
            f"{layout.path}: only a store in Zarr can be appended to: make a store of the new images and merge the "
            "two, or export this one to Zarr",
            "cannot-grow",
        )
    arrays = [field.name for field in layout.spec.fields if field.kind == "array"]
    if arrays:
        raise FormatError(
            f"{layout.path}: fields of arrays ({', '.join(arrays)}) are not appended to: make a store of the new "
            f"source, `arraystore ingest SOURCE -o NEW.zarr`, and one of the two, `arraystore merge {layout.path} "
            "NEW.zarr -o BOTH.zarr`",
            "cannot-grow",
        )
    from arraystore.format.zarr_growth import ZarrGrowth

    return ZarrGrowth(layout)


def names_store(path: str | os.PathLike[str]) -> bool:
    """Tell whether something that is to be made is called as a store is.

    Parameters
    ----------
    path : path-like
        Where it is to be.

    Returns
    -------
    bool
    """
    return Path(path).suffix.lower() in (_ZARR_SUFFIX, *_HDF5_SUFFIXES)


def _should_be_hdf5(path: str | os.PathLike[str]) -> bool:
    return _is_named_hdf5(path) and not Path(path).is_dir()


def _is_named_hdf5(path: str | os.PathLike[str]) -> bool:
    return Path(path).suffix.lower() in _HDF5_SUFFIXES
