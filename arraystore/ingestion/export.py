"""Export: a store, or some records of it, into another container, or back into the files that it was made of."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, get_args, runtime_checkable

import numpy as np
import numpy.typing as npt

from arraystore.errors import InvalidRequestError
from arraystore.format.base import Layout
from arraystore.format.columns import WritableColumn
from arraystore.format.containers import names_store, open_layout, open_writer
from arraystore.format.spec import StoreSpec
from arraystore.format.writer import StoreWriter
from arraystore.ingestion.content import Content, LazyColumns
from arraystore.ingestion.copying import CopyReport, check_distinct, gather_fields, job_of, write_store
from arraystore.ingestion.files import export_files
from arraystore.ingestion.items import Gathering
from arraystore.ingestion.progress import Progress, make_progress
from arraystore.ingestion.stored import StoredPart
from arraystore.ingestion.union import column_of
from arraystore.threads import thread_count

PathLike: TypeAlias = str | os.PathLike[str]
Form = Literal["store", "folder", "zip"]


@runtime_checkable
class OpenRecords(Protocol):
    """A store or a view that is open: `arraystore.Store`, or what `select` gives."""

    @property
    def handle(self) -> Any:
        """What has the layout of the store."""

    @property
    def selected_rows(self) -> npt.NDArray[np.int64] | None:
        """Rows of the store in their order; None for all."""


def export(
    store: PathLike | OpenRecords,
    target: PathLike,
    *,
    form: Form | None = None,
    workers: int | None = None,
    progress: bool | None = None,
    overwrite: bool = False,
    shard_nbytes: int | None = None,
) -> CopyReport:
    """Copy a store into another one, or into the files of its publisher's layout.

    Every byte is compared with its checksum on the way, and kept as it is; so is what is known of each image. A store
    is finished, and taken up again after an interruption, as `arraystore.ingest` does it. Files are written under
    another name, which ends in `.partial`, and renamed at the end; an export of files that was interrupted begins anew.

    Parameters
    ----------
    store : path-like, Store or View
        What is copied: a store, or the records of a view such as `store.select(split="train")`, in its order.
    target : path-like
        What to make. A name that ends in `.zarr`, `.h5` or `.hdf5` is a store, one that ends in `.zip` an archive of
        the images, with the table beside it, and any other one a folder of the images and the table.
    form : {"store", "folder", "zip"}, optional
        What to make, whatever it is called.
    workers : int, optional
        Threads; without it `ARRAYSTORE_NUM_THREADS`, or all cores of this process.
    progress : bool, optional
        Whether progress is written to standard error. By default it is if that is a terminal.
    overwrite : bool, default False
        Whether something that stands there is replaced.
    shard_nbytes : int, optional
        Size of the files that hold the images of a store in Zarr, 256 MiB by default. The arrays of a field, such as
        patches, are one file by default, unless they are compressed. Compressed ones stay so in Zarr.

    Returns
    -------
    CopyReport

    Raises
    ------
    DamagedStoreError
        If a record is not as it was written; its name is in the message. `arraystore verify` lists all of them.
    InvalidRequestError
        If the target is the store itself, something stands there, or a key cannot be the name of a file.
    SourceError
        As for `arraystore.ingest`; also if files are to be made of a store that holds no JPEGs.
    FormatError, OSError
        As for `arraystore.ingest`.

    Examples
    --------
    >>> import arraystore
    >>> report = arraystore.export("cropped_256.zarr", "again.zarr")
    >>> report.records == len(arraystore.open("again.zarr"))
    True
    """
    start = time.perf_counter()
    if form is not None and form not in get_args(Form):
        raise InvalidRequestError(f"form {form!r}: expected one of {', '.join(get_args(Form))}")
    threads = thread_count(workers, name="workers")
    shown = make_progress(progress)
    path = Path(target).absolute()
    part = StoredPart(*_opened(store))
    check_distinct(path, [part.layout])
    made = form or _form_of(path)
    if made != "store":
        return export_files(
            part, path, as_zip=made == "zip", overwrite=overwrite, threads=threads, shown=shown, start=start
        )
    writer = open_writer(path)
    options: dict[str, Any] = {"shard_nbytes": shard_nbytes}
    if not part.is_whole:
        options["rows"] = _digest(part.rows)
    job = job_of([part.layout], options)
    state = write_store(
        writer,
        job,
        lambda: (_content(part, writer, threads=threads, shown=shown, shard_nbytes=shard_nbytes), part.spec),
        overwrite=overwrite,
        threads=threads,
        shown=shown,
    )
    return report_of(open_layout(path), state=state, seconds=time.perf_counter() - start)


def report_of(made: Layout, *, state: str, seconds: float, merged: int = 0) -> CopyReport:
    """Say what was made, as its description has it."""
    spec: StoreSpec = made.spec
    counts = spec.counts
    return CopyReport(
        path=made.path,
        records=spec.n,
        images=counts.get("images", 0),
        image_nbytes=counts.get("image_nbytes", 0),
        seconds=seconds,
        state=state,
        status=counts.get("status", {}),
        merged=merged,
    )


def _opened(store: PathLike | OpenRecords) -> tuple[Layout, npt.NDArray[np.int64] | None]:
    if not isinstance(store, OpenRecords):
        return open_layout(store), None
    layout: Layout = store.handle.layout
    if getattr(store.handle, "source", None) is not None:
        raise InvalidRequestError(
            f"{store.handle.path} is a source that is opened as it is, and no store: `arraystore ingest` makes one",
            "no-store",
        )
    return layout, store.selected_rows


def _form_of(path: Path) -> Form:
    if names_store(path):
        return "store"
    return "zip" if path.suffix.lower() == ".zip" else "folder"


def _digest(rows: npt.NDArray[np.int64]) -> str:
    from arraystore import _core

    return f"{len(rows)}-{_core.crc32c(np.ascontiguousarray(rows).tobytes()):08x}"


def _content(
    part: StoredPart, writer: StoreWriter, *, threads: int, shown: Progress, shard_nbytes: int | None
) -> Content:
    keys = part.keys
    gathering = Gathering(
        keys.__getitem__, writer.work_directory, writer.has_codecs, threads, shown, shard_nbytes=shard_nbytes
    )
    fields = gather_fields(part.spec.fields, [part], len(keys), gathering)
    return Content(part.spec.key, keys, fields, lambda: _columns_of(part))


def _columns_of(part: StoredPart) -> Mapping[str, WritableColumn]:
    """Read the columns of a store, or of the rows that are taken of it."""
    return LazyColumns({name: partial(column_of, part, name) for name in part.layout.column_names})
