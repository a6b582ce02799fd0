"""Verify: of a store against its checksums, of a source as far as it has any."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from arraystore.format.arrays import KEY_DTYPES, RAGGED_DTYPES, ZIP_ENCODINGS
from arraystore.format.base import KEY, Layout, Problem
from arraystore.format.containers import is_store
from arraystore.ingestion.progress import Progress, format_count, make_progress
from arraystore.ingestion.verify import VerifyReport
from arraystore.ingestion.verify import verify as verify_store
from arraystore.sources.archive import column
from arraystore.threads import thread_count
from arraystore.virtual.opened import OpenedSource, open_source
from arraystore.virtual.request import Request

if TYPE_CHECKING:
    from arraystore._core import Field

PathLike: TypeAlias = str | os.PathLike[str]

_ROWS_AT_A_TIME = 65_536


def verify(
    path: PathLike | Sequence[PathLike], *, workers: int | None = None, progress: bool | None = None
) -> VerifyReport:
    """Compare every byte of a store with its checksums, but for the unused gaps between records.

    A source is verified as far as that goes: members of zip archives are compared with the CRC-32 that the archive has
    of each; files of folders have no checksum, and are only read. The report says so in its `notes`.

    Parameters
    ----------
    path : path-like or sequence of path-like
        A store; or a source, as `arraystore.open` takes it.
    workers : int, optional
        Threads; without it `ARRAYSTORE_NUM_THREADS`, or all cores of this process.
    progress : bool, optional
        Whether progress is written to standard error. By default it is if that is a terminal.

    Returns
    -------
    VerifyReport
        What is wrong, each with the file or the record.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    UnfinishedStoreError, FormatError
        If it is neither a finished store of a known format nor a source.
    SourceError, DuplicateKeyError
        If the source cannot be opened.
    """
    paths = [path] if isinstance(path, str | os.PathLike) else list(path)
    if len(paths) == 1 and (is_store(paths[0]) or not os.path.lexists(paths[0])):
        return verify_store(paths[0], workers=workers, progress=progress)
    threads = thread_count(workers, name="workers")
    shown = make_progress(progress)
    request = Request.of(paths, metadata=None, key=None, package=None)
    source = open_source(request, cache=True)
    if _is_damaged(source, threads):
        # What is wrong with an index is nothing that is wrong with its source.
        shutil.rmtree(source.layout.path, ignore_errors=True)
        source = open_source(request, cache=True)
    try:
        return _verify_source(source, threads, shown)
    finally:
        source.release()


def _is_damaged(source: OpenedSource, threads: int) -> bool:
    """Tell whether a key or a text of the index is not what was written; all else was compared when it was opened."""
    layout = source.layout
    names = [KEY, *(field.name for field in layout.spec.fields if field.kind == "text")]
    fields = (_open_texts(layout, name) for name in names)
    return any(field.check(0, layout.spec.n, threads=threads) for field in fields)


def _open_texts(layout: Layout, name: str) -> Field:
    from arraystore import _core

    pieces: dict[str, Any] = {array: layout.pieces(f"{name}/{array}") for array in RAGGED_DTYPES}
    return _core.Field(name, layout.spec.n, **pieces)


def _verify_source(source: OpenedSource, threads: int, shown: Progress) -> VerifyReport:
    from arraystore import _core

    layout = source.layout
    n, problems = layout.spec.n, []
    keys = _core.Keys(n, **{name: layout.pieces(f"{KEY}/{name}") for name in KEY_DTYPES})
    images = source.images(keys)
    with shown.phase(source.image_field, total=n, unit="records") as advance:
        for start in range(0, n, _ROWS_AT_A_TIME):
            stop = min(start + _ROWS_AT_A_TIME, n)
            for row, _, message in images.check(start, stop, threads=threads):
                problems.append(Problem("record", f"{source.image_field} row {row}", message))
            advance(stop, 0)
    nbytes = column(images.nbytes(), np.uint32)
    with_checksum = int((np.isin(column(images.encoding(), np.uint8), ZIP_ENCODINGS) & (nbytes > 0)).sum())
    without = int((nbytes > 0).sum()) - with_checksum
    notes = ["it is a source and no store: the only checksums are those of zip archives"]
    if with_checksum:
        notes.append(f"{format_count(with_checksum, 'image')} compared with the CRC-32 that the archive has")
    if without:
        notes.append(f"{format_count(without, 'image')} read, and nothing to compare them with")
    total = int(nbytes.sum(dtype=np.uint64))
    return VerifyReport(
        source.path, with_checksum + without, len(source.request.paths), total, tuple(problems), tuple(notes)
    )
