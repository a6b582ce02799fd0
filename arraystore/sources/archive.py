"""Folders and archives as tables of members: a thin layer over the core's scan."""

from __future__ import annotations

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
    paths: Sequence[str | os.PathLike[str]], *, progress: Callable[[int, int], None] | None = None
) -> Members:
    """List the files of folders and zip archives, without reading any of them.

    Parameters
    ----------
    paths : sequence of path-like
        Folders and archives.
    progress : callable, optional
        Called with the numbers of files and bytes so far.

    Returns
    -------
    Members

    Raises
    ------
    SourceError
        If no path is given, or an archive is damaged.
    FileNotFoundError
        If a path does not exist.
    """
    from arraystore import _core

    if not paths:
        raise SourceError("no source given: name a folder of images, or one or several zip archives")
    return _core.scan([str(Path(path).absolute()) for path in paths], progress=progress)


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
