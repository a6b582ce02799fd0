"""Seek tables for the JPEGs of a store: what makes its crops fast, and can be made again at any time."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from arraystore.errors import FormatError, InvalidRequestError
from arraystore.ingestion.progress import Progress, make_progress
from arraystore.threads import thread_count

if TYPE_CHECKING:
    from arraystore.reader.handle import Handle

__all__ = ["IndexReport", "index", "make_tables"]


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What `index` did.

    Parameters
    ----------
    paths : tuple of Path
        The files of seek tables, one for each field of images.
    tables : int
        Images with a table.
    left : int
        Images that libjpeg-turbo decodes: rare kinds such as progressive ones, and what is damaged.
    nbytes : int
        Bytes of all tables.
    seconds : float
        Time that it took.
    """

    paths: tuple[Path, ...]
    tables: int
    left: int
    nbytes: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the numbers under their names, ready for JSON."""
        return asdict(self) | {"paths": [str(path) for path in self.paths]}

    def __str__(self) -> str:
        each = self.nbytes / self.tables if self.tables else 0.0
        left = f"; {self.left:,} images are left to libjpeg-turbo" if self.left else ""
        return f"{self.tables:,} seek tables of {each:.0f} bytes in {self.seconds:.1f} s{left}"


def index(
    store: str | os.PathLike[str],
    *,
    check: Literal["header", "pixels"] = "header",
    workers: int | None = None,
    progress: bool | None = None,
) -> IndexReport:
    """Make the seek tables of a store or of a source that is opened as it is.

    A table says where in a JPEG each row of blocks begins (about 80 bytes for 340 x 256 pixels), so that a crop decodes
    only what it needs. It changes nothing but speed: without tables, or with tables that are damaged or outdated, all
    pixels are the same. The tables stand in a file beside the store, `<store>.<field>.seek`; those of a source in the
    cache folder. What there is already is taken over: after `arraystore.append` only the new images get theirs.

    Parameters
    ----------
    store : path-like
        A store in Zarr or HDF5, or a source: a zip or a folder of images.
    check : {"header", "pixels"}, default "header"
        With "pixels", each image is decoded by libjpeg-turbo as well, and one of which a pixel differs is left to it.
    workers : int, optional
        Threads; without it `ARRAYSTORE_NUM_THREADS`, or all cores of this process.
    progress : bool, optional
        Whether progress is written to standard error. By default it is if that is a terminal.

    Returns
    -------
    IndexReport

    Raises
    ------
    FileNotFoundError
        If there is nothing at `store`.
    FormatError
        If it has no images.
    InvalidRequestError
        If it is a source and the cache folder is switched off: there is no place for the tables.
    OSError
        If the file cannot be written, such as on a full disk.
    """
    from arraystore.reader.store import open as open_any

    if check not in ("header", "pixels"):
        raise InvalidRequestError(f"check {check!r}: expected one of header, pixels")
    start = time.perf_counter()
    threads, shown = thread_count(workers, name="workers"), make_progress(progress)
    handle = open_any(store).handle
    if not any(each.kind == "jpeg" for each in handle.spec.fields):
        raise FormatError(f"{handle.path}: it has no field of JPEGs, so there is nothing to make seek tables of")
    if handle.source is not None and handle.source.is_temporary:
        raise InvalidRequestError(
            f"{handle.path}: the cache folder is switched off, so the seek tables have no place: ingest it, or leave "
            "out cache=False and ARRAYSTORE_CACHE=0"
        )
    paths, counts = _write(handle, check=check, threads=threads, shown=shown)
    return IndexReport(paths, *counts, seconds=time.perf_counter() - start)


def make_tables(store: Path, *, check: str, threads: int, shown: Progress, anew: bool = True) -> None:
    """Make the seek tables of a store that has just been written.

    Parameters
    ----------
    store : Path
        The store.
    check : str
        As for `index`.
    threads : int
        Threads to use.
    shown : Progress
        Where progress is shown.
    anew : bool, default True
        Whether tables that there are already are made again.
    """
    from arraystore.reader.handle import open_store

    handle = open_store(store)
    names = [each.name for each in handle.spec.fields if each.kind == "jpeg"]
    if anew or not all(handle.seek_path(name).exists() for name in names):
        _write(handle, check=check, threads=threads, shown=shown)


def _write(
    handle: Handle, *, check: str, threads: int, shown: Progress
) -> tuple[tuple[Path, ...], tuple[int, int, int]]:
    """Write the tables of all fields of images; return where they stand, and their numbers."""
    counts, paths = (0, 0, 0), []
    for name in [each.name for each in handle.spec.fields if each.kind == "jpeg"]:
        field, path = handle.field(name), handle.seek_path(name)
        part = path.with_name(path.name + ".part")
        part.unlink(missing_ok=True)
        try:
            with shown.phase("make seek tables", total=len(field)) as advance:
                found = field.write_seek(str(part), compare=check == "pixels", threads=threads, progress=advance)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        counts = (counts[0] + found[0], counts[1] + found[1], counts[2] + found[2])
        paths.append(path)
    return tuple(paths), counts
