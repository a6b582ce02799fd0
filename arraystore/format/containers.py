"""The containers that a store may lie in, and which of them a path is: the one place that names them all."""

from __future__ import annotations

import os

from arraystore.format.base import Layout, StoreWriter
from arraystore.format.zarr import open_zarr
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
