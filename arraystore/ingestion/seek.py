"""Seek tables for the JPEGs of a store: what makes its crops fast, and can be made again at any time."""

from __future__ import annotations

import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from arraystore.errors import InternalError
from arraystore.format.arrays import field_dtypes
from arraystore.format.base import Layout
from arraystore.format.containers import open_layout
from arraystore.format.seek import read_table_ends, seek_path
from arraystore.format.workspace import workspace
from arraystore.ingestion.progress import Progress
from arraystore.sources.archive import column

if TYPE_CHECKING:
    import numpy.typing as npt

    from arraystore._core import Field, PackResult

Check = Literal["header", "pixels"]

# The core has no error of its own for memory that is short.
_COSTS_ONLY_THE_TABLES = (OSError, MemoryError, InternalError)


def jpeg_fields(layout: Layout) -> list[tuple[Field, Path]]:
    """Return the fields of JPEGs of a store, with the tables that there are, and where the tables of each stand."""
    from arraystore import _core

    found = []
    for each in layout.spec.fields:
        if each.kind == "jpeg":
            path = seek_path(layout.path, each.name)
            pieces: dict[str, Any] = {array: layout.pieces(f"{each.name}/{array}") for array in field_dtypes(each.kind)}
            found.append((_core.Field(each.name, layout.spec.n, seek=str(path), **pieces), path))
    return found


def has_all_tables(field: Field, path: Path) -> bool:
    """Tell whether each record that has bytes has a table; those that an append has added or filled have none yet.

    Parameters
    ----------
    field : Field
        The field, as `jpeg_fields` gives it.
    path : Path
        Where its tables stand.

    Returns
    -------
    bool
        False also if they cannot be read. Whether they are those of its bytes is for each read to find out.
    """
    if not field.has_seek():
        return False
    try:
        ends = read_table_ends(path)
    except OSError:
        return False
    nbytes = column(field.nbytes(), np.uint32)
    return len(ends) == len(nbytes) and bool((np.diff(ends, prepend=np.uint64(0))[nbytes > 0] > 0).all())


def gather_tables(
    path: Path, journal: Path, result: PackResult, record: npt.NDArray[np.int64], n: int, *, first_shard: int = 0
) -> bool:
    """Put the tables together that packing has made of a field, behind those of a store that grows.

    Parameters
    ----------
    path : Path
        Where they are to stand. Tables that stand there are taken over for the records that they are of.
    journal : Path
        Where packing left those of each shard.
    result : PackResult
        What packing found out.
    record : ndarray of int64, shape (k,)
        The record that each image has become.
    n : int
        Number of records.
    first_shard : int, default 0
        The first shard that was packed.

    Returns
    -------
    bool
        Whether that could be done. If a shard was packed without, the disk refuses or memory is short, they are left to
        `make_tables`.
    """
    from arraystore import _core

    shards = result.shards_written + result.shards_kept
    if not shards:
        return False
    part = journal / path.name
    try:
        before = len(read_table_ends(path)) if path.exists() else 0
        order = np.full(n, np.iinfo(np.uint64).max)
        order[:before] = np.arange(min(before, n), dtype=np.uint64)
        order[record] = np.arange(before, before + len(record), dtype=np.uint64)
        part.unlink(missing_ok=True)
        is_whole = _core.gather_tables(
            str(part),
            before=str(path) if before else None,
            journal=str(journal),
            shards=(first_shard, first_shard + shards),
            total=before + len(record),
            order=order,
        )
        if is_whole:
            part.replace(path)
    except _COSTS_ONLY_THE_TABLES:
        return False
    finally:
        # The store needs the room more.
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return is_whole


def write_tables(field: Field, path: Path, *, check: Check, threads: int, shown: Progress) -> tuple[int, int, int]:
    """Write the tables of a field to their place; those that it has been opened with are taken over.

    Parameters
    ----------
    field : Field
        The field.
    path : Path
        Where they are to stand; what stands there is replaced once all are made.
    check : {"header", "pixels"}
        Whether each image is decoded by libjpeg-turbo as well, to leave those that differ to it.
    threads : int
        Threads to use.
    shown : Progress
        Where progress is shown.

    Returns
    -------
    tuple of int
        Images with a table, images that are left to libjpeg-turbo, and bytes of all tables.
    """
    # Nothing keeps another process from making them as well: the last one that is finished stays.
    with workspace(path.parent, path.name) as directory:
        part = directory / path.name
        with shown.phase("make seek tables", total=len(field)) as advance:
            found = field.write_seek(str(part), compare=check == "pixels", threads=threads, progress=advance)
        part.replace(path)
    return found


def make_tables(store: Path, *, check: Check, threads: int, shown: Progress, is_anew: bool = True) -> None:
    """Make the seek tables that a finished store lacks; it is whole without them.

    Parameters
    ----------
    store : Path
        The store. Tables of another one that has stood here have been removed before it was finished.
    check : {"header", "pixels"}
        As for `write_tables`.
    threads : int
        Threads to use.
    shown : Progress
        Where progress is shown.
    is_anew : bool, default True
        Whether they are also made where there are none, and not only added where some are missing.
    """
    for field, path in jpeg_fields(open_layout(store)):
        try:
            if (is_anew or path.exists()) and not has_all_tables(field, path):
                write_tables(field, path, check=check, threads=threads, shown=shown)
        except _COSTS_ONLY_THE_TABLES as error:
            problem = str(error) or type(error).__name__
            warnings.warn(
                f"{store} is finished, but its seek tables could not be written ({problem}): crops are slower until "
                f"`arraystore index {store}` has made them",
                stacklevel=3,
            )
