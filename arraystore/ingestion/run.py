"""Ingest: sources to a finished store, in steps that the same command takes up again after an interruption."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np

from arraystore.errors import InternalError, InvalidRequestError, SourceError
from arraystore.format.base import StoreWriter
from arraystore.format.containers import open_layout, open_writer
from arraystore.format.layout import DEFAULT_SHARD_NBYTES
from arraystore.format.spec import FieldSpec, Status, StoreSpec
from arraystore.ingestion.content import Content, FieldContent
from arraystore.ingestion.extras import JoinedTable, UnmatchedRows, join_extra
from arraystore.ingestion.fields import Packing, write_content
from arraystore.ingestion.frame import build_columns, text_names
from arraystore.ingestion.plan import Plan, Rows, make_plan
from arraystore.ingestion.progress import Progress, make_progress
from arraystore.ingestion.report import IngestReport
from arraystore.ingestion.troubles import find_troubles, write_troubles
from arraystore.ingestion.workdir import Job, begin_packing, remove_workdir, work_on
from arraystore.sources.archive import column, scan_sources
from arraystore.sources.base import BringsTable, ImageSet, Source
from arraystore.sources.hdf5_members import spill_indirect
from arraystore.sources.registry import recognise
from arraystore.sources.tables import MetadataTable, fingerprint_file, read_metadata
from arraystore.threads import thread_count

if TYPE_CHECKING:
    from arraystore._core import PackResult

PathLike: TypeAlias = str | os.PathLike[str]
Check = Literal["header", "pixels"]


def ingest(
    source: PathLike | Sequence[PathLike],
    store: PathLike,
    *,
    package: str | None = None,
    metadata: PathLike | Sequence[PathLike] | None = None,
    key: str | None = None,
    check: Check = "header",
    rows: Rows = "all",
    workers: int | None = None,
    progress: bool | None = None,
    overwrite: bool = False,
    shard_nbytes: int = DEFAULT_SHARD_NBYTES,
) -> IngestReport:
    """Make a store of a package of images and its metadata table.

    Every byte of every image is kept. The store is finished when its root `zarr.json` is written, as the last file.
    Until then the same call finishes what is missing and leaves what is there.

    Parameters
    ----------
    source : path-like or sequence of path-like
        A folder of images, at any level of the published tree, or one or several zip archives or HDF5 files of it.
    store : path-like
        Directory to make, such as `cropped_256.zarr`.
    package : str, optional
        Which package of a publisher the images are of, such as `cropped_256` or `original_full`. Needed only if the
        paths name several, or none.
    metadata : path-like or sequence of path-like, optional
        The metadata table, CSV, TSV or JSON-LD. Looked for in its published place beside the images if not given, and
        what is published beside it: the bounding boxes of BIOSCAN-5M (`BIOSCAN_5M_Insect_bbox.tsv`), the list of poor
        images of BIOSCAN-1M (`BIOSCAN_1M_low_quality_images.xlsx`, the column `low_quality`). Of several tables that
        are named, the first one tells the records; those after it are joined to it by the key, as further columns. A
        column that stands in two of them is that of the first. If tables are named, no others are looked for. Without
        any, the only columns are those that the paths tell.
    key : str, optional
        Column of the table that names the images, for folders of no known publisher. Without it, the first of `key`,
        `processid`, `image_file`, `file`, `filename` and `name` that the table has.
    check : {"header", "pixels"}, default "header"
        Whether each image is checked by its markers (and that its scan is not cut short), or decoded as a whole. A bad
        image is kept as it is, with a status.
    rows : {"all", "images"}, default "all"
        Whether rows of the table without an image become records.
    workers : int, optional
        Threads; without it `ARRAYSTORE_NUM_THREADS`, or all cores of this process.
    progress : bool, optional
        Whether progress is written to standard error. By default it is if that is a terminal.
    overwrite : bool, default False
        Whether a store that stands there already is replaced. If an ingest of the same sources and options was
        interrupted there, it goes on nevertheless.
    shard_nbytes : int, default 256 MiB
        Size of the files that hold the images.

    Returns
    -------
    IngestReport
        Counts, time and troubles. Its `exit_code` is 3 if there were troubles: an image that cannot be decoded, a file
        that cannot be read, a row without image, an image without row, or one in the directory of another split. Each
        is listed in `<store>.troubles.csv`. Skipped files that are no images, and duplicates with the same bytes, are
        listed there but are no troubles.

    Raises
    ------
    SourceError
        If the source holds no images, or it is not clear of which package.
    SourceChangedError
        If an unfinished store stands there that was begun from other sources, or with other options, and part of it
        is packed.
    DuplicateKeyError
        If one key stands for two different images or two rows.
    ImportError
        If a list in Excel is to be read without openpyxl (``arraystore[xlsx]``).
    InvalidRequestError
        If a finished store of other sources stands there, or an option is not one of its values.
    FormatError
        If something stands there that is no store.
    OSError
        If a file cannot be read or written, such as on a full disk. What is packed is kept; the same call goes on.
        After an error before anything is packed, nothing is left behind.
    """
    start = time.perf_counter()
    _check_choice("check", check, get_args(Check))
    _check_choice("rows", rows, get_args(Rows))
    threads = thread_count(workers, name="workers")
    paths = [Path(source)] if isinstance(source, str | os.PathLike) else [Path(each) for each in source]
    writer = open_writer(store)
    _check_outside(writer.path, paths)
    shown = make_progress(progress)
    with shown.phase("scan", unit="files") as advance:
        members = scan_sources(paths, with_indirect=True, progress=advance)
    publisher = recognise(members, package=package)
    images = publisher.images(members, package=package)
    table, further = _tables(publisher, paths, metadata)
    if key is not None and table is None:
        raise InvalidRequestError(f"key {key!r} is a column of a table: name the table with --metadata")
    options = {"package": images.package, "rows": rows, "check": check, "shard_nbytes": shard_nbytes}
    if key is not None:
        options["key"] = key
    job = Job(
        tuple(path.name for path in paths),
        members.fingerprint(images.indices),
        "+".join(map(fingerprint_file, (table, *further))) if table is not None else None,
        options,
    )
    with work_on(writer, job, overwrite=overwrite) as state:
        if state != "complete":
            if table is not None:
                publisher = publisher.for_table(table, key=key)
            _Run(
                publisher, images, table, further, job, Packing(writer, job.fingerprint, threads, shard_nbytes), shown
            ).all_steps()
    return _report(writer.path, state=state, seconds=time.perf_counter() - start, metadata=table, joined=further)


def _tables(
    publisher: Source, paths: Sequence[Path], metadata: PathLike | Sequence[PathLike] | None
) -> tuple[Path | None, tuple[Path, ...]]:
    """Return the table that tells the records, and those that are joined to it."""
    if metadata is None:
        found = publisher.find_table(paths)
        return found, () if found is None else tuple(publisher.find_extra_tables(found))
    named = [Path(metadata)] if isinstance(metadata, str | os.PathLike) else [Path(each) for each in metadata]
    # A list in Excel tells no records, wherever it is named.
    first = next((path for path in named if path.suffix.lower() != ".xlsx"), None)
    if first is None:
        raise InvalidRequestError("metadata: expected a CSV, TSV or JSON-LD that tells the records, found none")
    return first, tuple(path for path in named if path is not first)


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of an ingest that is not complete."""

    publisher: Source
    images: ImageSet
    table: Path | None
    further: Sequence[Path]
    job: Job
    packing: Packing
    progress: Progress

    @property
    def writer(self) -> StoreWriter:
        return self.packing.writer

    def all_steps(self) -> None:
        spill_indirect(self.images.members, self.images.indices, self.writer.work_directory / "images.bin")
        metadata = self._read_table()
        plan = make_plan(
            self.images,
            metadata,
            image_keys=self.publisher.image_keys(self.images, metadata),
            key=self.publisher.key,
            rows=self.job.options["rows"],
            known_splits=self.publisher.splits,
        )
        joined = self._join_tables(plan, metadata)
        begin_packing(self.writer)
        has_table = metadata is not None
        unmatched = [each.unmatched for each in joined]
        fields = [self._image_content(plan), *(_text_content(plan, metadata, name) for name in text_names(metadata))]
        # The cells are a gigabyte for five million rows: given away, to be gone when the columns are written.
        given = [(metadata, joined)]
        del metadata, joined
        content = Content(
            self.publisher.key,
            plan.keys,
            fields,
            lambda: build_columns(plan, self.images, *given.pop(), key=self.publisher.key),
        )
        written = write_content(self.packing, content, self.progress)
        self.images.members.check_unchanged()
        counts = self._count(plan, written.results[self.publisher.field], has_table=has_table, unmatched=unmatched)
        self._commit(content, counts | {"split": dict(written.splits)})

    def _read_table(self) -> MetadataTable | None:
        table = self.table
        if isinstance(self.publisher, BringsTable):
            table = self.publisher.write_table(self.images, self.writer.work_directory)
        if table is None:
            return None
        spill = self.writer.work_directory / "text.bin"
        with self.progress.phase("metadata", unit="rows") as advance:
            return read_metadata(table, self.publisher.table, key=self.publisher.key, spill=spill, progress=advance)

    def _join_tables(self, plan: Plan, metadata: MetadataTable | None) -> list[JoinedTable]:
        if metadata is None:
            return []
        joined = []
        if isinstance(self.publisher, BringsTable):
            own = self.publisher.own_extras(self.images, metadata)
            joined = [join_extra(plan, metadata, extra, key=self.publisher.key) for extra in own]
        for path in self.further:
            extra = self.publisher.extra_table(path, spill=self.writer.work_directory / "extra.bin")
            joined.append(join_extra(plan, metadata, extra, key=self.publisher.key))
        return joined

    def _image_content(self, plan: Plan) -> FieldContent:
        indices = self.images.indices[plan.image].astype(np.uint64)
        nbytes = self.images.nbytes[plan.image].astype(np.uint32)
        extents = self.images.members.extents(indices)
        spec = FieldSpec(self.publisher.field, "jpeg")
        return FieldContent(spec, extents, nbytes, plan.record, self.job.options["check"])

    def _count(
        self, plan: Plan, result: PackResult, *, has_table: bool, unmatched: Sequence[UnmatchedRows]
    ) -> dict[str, Any]:
        status = column(result.status, np.uint8)
        troubles = find_troubles(
            plan, self.images, status, dict(result.details), has_table=has_table, unmatched=unmatched
        )
        write_troubles(troubles_path(self.writer.path), troubles)
        by_status = np.bincount(status, minlength=len(Status))
        by_status[Status.MISSING] += plan.n - len(plan.record)
        return {
            "images": len(plan.record),
            "image_nbytes": int(column(result.nbytes, np.uint32).sum(dtype=np.uint64)),
            "rows_left_out": plan.rows_left_out,
            "images_left_out": sum(len(group.indices) for group in self.images.skipped if not group.is_listed),
            "status": {each.label: int(by_status[each]) for each in Status if by_status[each]},
            "troubles": {each.kind: each.count for each in troubles},
        }

    def _commit(self, content: Content, counts: Mapping[str, Any]) -> None:
        from arraystore import _core

        spec = StoreSpec(
            n=content.n,
            fields=tuple(each.spec for each in content.fields),
            key=self.publisher.key,
            dataset=self.publisher.dataset,
            package=self.images.package,
            splits=self.publisher.splits,
            source=self.job.to_json(),
            counts=counts,
            created_by=f"arraystore {_core.__version__}",
        )
        self.writer.commit(spec)
        remove_workdir(self.writer)


def troubles_path(store: Path) -> Path:
    """Return where the list of troubles of a store stands: beside it, under its name and `.troubles.csv`."""
    return store.with_name(store.name + ".troubles.csv")


def _report(
    store: Path, *, state: str, seconds: float, metadata: Path | None, joined: tuple[Path, ...]
) -> IngestReport:
    spec = open_layout(store).spec
    listed = troubles_path(store)
    return IngestReport(
        path=store,
        package=spec.package,
        records=spec.n,
        images=spec.counts["images"],
        image_nbytes=spec.counts["image_nbytes"],
        seconds=seconds,
        status=spec.counts["status"],
        troubles=spec.counts["troubles"],
        troubles_path=listed if spec.counts["troubles"] and listed.exists() else None,
        rows_left_out=spec.counts["rows_left_out"],
        images_left_out=spec.counts["images_left_out"],
        metadata=metadata,
        joined=joined,
        state=state,
    )


def _text_content(plan: Plan, metadata: MetadataTable | None, name: str) -> FieldContent:
    from arraystore import _core

    if metadata is None:
        raise InternalError(f"{name} is a column of no table")
    path, offset, nbytes = metadata.table.text(name)
    record = np.flatnonzero(plan.table_row >= 0)
    row = plan.table_row[record]
    sizes = column(nbytes, np.uint32)[row]
    extents = _core.Extents.in_file(path, column(offset, np.uint64)[row], sizes.astype(np.uint64))
    return FieldContent(FieldSpec(name, "text"), extents, sizes, record)


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InvalidRequestError(f"{option} {value!r}: expected one of {', '.join(choices)}")


def _check_outside(store: Path, sources: Sequence[Path]) -> None:
    for source in sources:
        if store.is_relative_to(source.absolute()):
            raise SourceError(f"{store} lies inside of the source {source}: choose a place outside", "store-in-source")
