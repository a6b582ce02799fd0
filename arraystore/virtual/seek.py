"""Seek tables for the JPEGs of a store: what makes its crops fast, and can be made again at any time."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from arraystore.errors import FormatError, InvalidRequestError
from arraystore.format.containers import is_store, open_layout
from arraystore.format.seek import cached_seek_path
from arraystore.ingestion.progress import Progress, make_progress
from arraystore.ingestion.run import check_choice
from arraystore.ingestion.seek import Check, jpeg_fields, write_tables
from arraystore.threads import thread_count
from arraystore.virtual.opened import open_source
from arraystore.virtual.request import Request

if TYPE_CHECKING:
    from arraystore._core import Field

__all__ = ["IndexReport", "index"]


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
    store: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    check: Check = "header",
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
    store : path-like or sequence of path-like
        A store in Zarr or HDF5; or a source, as `arraystore.open` takes it: a zip, several zips or a folder of images.
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
    check_choice("check", check, get_args(Check))
    start = time.perf_counter()
    threads, shown = thread_count(workers, name="workers"), make_progress(progress)
    paths = [store] if isinstance(store, str | os.PathLike) else list(store)
    if len(paths) == 1 and (is_store(paths[0]) or not os.path.lexists(paths[0])):
        fields = jpeg_fields(open_layout(paths[0]))
        return _write(Path(paths[0]), fields, check, threads, shown, start)
    source = open_source(Request.of(paths, metadata=None, key=None, package=None), cache=True)
    try:
        if source.is_temporary:
            raise InvalidRequestError(
                f"{source.path}: its index is not kept in the cache folder, so that its seek tables have no place: "
                "ingest it, or switch the cache folder on (ARRAYSTORE_CACHE)"
            )
        path = cached_seek_path(source.layout.path, source.image_field)
        fields = [(source.images(None, seek=str(path)), path)]
        return _write(source.path, fields, check, threads, shown, start)
    finally:
        source.release()


def _write(
    store: Path, fields: Sequence[tuple[Field, Path]], check: Check, threads: int, shown: Progress, start: float
) -> IndexReport:
    if not fields:
        raise FormatError(f"{store}: it has no field of JPEGs, so there is nothing to make seek tables of")
    found = [write_tables(field, path, check=check, threads=threads, shown=shown) for field, path in fields]
    tables, left, nbytes = (sum(numbers) for numbers in zip(*found, strict=True))
    return IndexReport(tuple(path for _, path in fields), tables, left, nbytes, time.perf_counter() - start)
