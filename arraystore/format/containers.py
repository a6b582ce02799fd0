"""The containers that a store may lie in, and which of them a path is: the one place that names them all."""

from __future__ import annotations

import os
from pathlib import Path

from arraystore.format.base import Layout, StoreWriter
from arraystore.format.zarr import is_zarr, open_zarr
from arraystore.format.zarr_writer import ZarrWriter


def open_layout(path: str | os.PathLike[str]) -> Layout:
    """Read what a store says of itself, and nothing else.

    Parameters
    ----------
    path : path-like
        The store: a directory in Zarr.

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
        If it is something else than an arraystore, or one of a newer format.
    """
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
    return is_zarr(Path(path))


def open_writer(path: str | os.PathLike[str]) -> StoreWriter:
    """Return what makes a store, or goes on making one, at a path; nothing is written yet.

    Parameters
    ----------
    path : path-like
        Where the store is to be: a directory in Zarr.

    Returns
    -------
    StoreWriter
    """
    return ZarrWriter(path)
