"""Where the seek tables of a store stand: beside it, so that a store that was written stays as it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["cached_seek_path", "read_table_ends", "seek_path"]

_ENDS_BEGIN = 16


def seek_path(store: Path, field: str) -> Path:
    """Return where the seek tables of a field of JPEGs stand.

    Parameters
    ----------
    store : Path
        The store.
    field : str
        Name of the field.

    Returns
    -------
    Path
        Beside the store, under its name, that of the field and `.seek`. The file may be missing.
    """
    return store.with_name(f"{store.name}.{field}.seek")


def cached_seek_path(index: Path, field: str) -> Path:
    """Return where the seek tables of a source stand that is opened as it is.

    Parameters
    ----------
    index : Path
        The index of the source in the cache folder.
    field : str
        Name of the field.

    Returns
    -------
    Path
        Beside the index. The file may be missing.
    """
    return index.with_name(f"seek.{index.name}.{field}")


def read_table_ends(path: Path) -> npt.NDArray[np.uint64]:
    """Read where the table of each record ends, in a file of seek tables.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    ndarray of uint64, shape (n,)
        In bytes; the table begins where the one before ends. Whether the file is one of tables, the core finds out.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with path.open("rb") as file:
        count = int.from_bytes(file.read(_ENDS_BEGIN)[8:], "little")
        # A damaged file may say any number.
        return np.fromfile(file, "<u8", min(count, os.fstat(file.fileno()).st_size // 8))
