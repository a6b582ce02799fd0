"""Ingest: sources to a finished store, in steps that the same command takes up again after an interruption."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np

from arraystore.errors import InvalidRequestError, SourceError
from arraystore.format.containers import open_layout, open_writer
from arraystore.format.layout import DEFAULT_SHARD_NBYTES
from arraystore.format.spec import Codec, FieldSpec, StoreSpec
from arraystore.format.writer import StoreWriter
from arraystore.ingestion.content import Content, FieldContent
from arraystore.ingestion.copying import count_records
from arraystore.ingestion.fields import Packing, write_content
from arraystore.ingestion.package import JoinedPackage, Package, as_paths, find_source
from arraystore.ingestion.patches import PatchPackage
from arraystore.ingestion.plan import Rows
from arraystore.ingestion.progress import Progress, make_progress
from arraystore.ingestion.report import IngestReport
from arraystore.ingestion.seek import make_tables
from arraystore.ingestion.troubles import write_troubles
from arraystore.ingestion.workdir import Job, begin_packing, remove_workdir, work_on
from arraystore.sources.archive import column
from arraystore.sources.base import PatchSource, Source
from arraystore.sources.hdf5_members import spill_indirect
from arraystore.sources.tables import fingerprint_file
from arraystore.threads import thread_count

if TYPE_CHECKING:
    from arraystore._core import Members, PackResult

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
    codec: Literal["none", "zstd", "blosc"] = "none",
    shard_nbytes: int | None = None,
    index: bool = True,
) -> IngestReport:
    """Make a store of a package of images and its metadata table, or of patches.

    Every byte of every image is kept. The store is finished when its root `zarr.json` is written, as the last file
    (in HDF5, when the file gets its name). Until then the same call finishes what is missing and leaves what is there.

    Parameters
    ----------
    source : path-like or sequence of path-like
        A folder of images, at any level of the published tree, or one or several zip archives or HDF5 files of it.
    store : path-like
        Directory to make, such as `cropped_256.zarr`; or one HDF5 file, if the name ends with `.h5` or `.hdf5`.
    package : str, optional
        Which package of a publisher the images are of, such as `cropped_256` or `original_full`. Needed only if the
        paths name several, or none. ``"folder"`` if they are of no publisher, whatever their directories are called.
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
        Threads; without it `ARRAYSTORE_NUM_THREADS`, or all cores of this process, and to read files of folders, which
        must be waited for, four to a core, up to 32.
    progress : bool, optional
        Whether progress is written to standard error. By default it is if that is a terminal.
    overwrite : bool, default False
        Whether a store that stands there already is replaced. If an ingest of the same sources and options was
        interrupted there, it goes on nevertheless.
    codec : {"none", "zstd", "blosc"}, default "none"
        How patches are compressed, each for itself. Not compressed, all of a field map as one array. Only for patches.
    shard_nbytes : int, optional
        Size of the files that hold the images; by default 256 MiB, and all patches of a field in one if they are not
        compressed.
    index : bool, default True
        Whether the seek tables of the images are made, too, see `arraystore.index`.

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
    check_choice("check", check, get_args(Check))
    check_choice("rows", rows, get_args(Rows))
    check_choice("codec", codec, ("none", *get_args(Codec)))
    threads = thread_count(workers, name="workers")
    paths = [Path(source)] if isinstance(source, str | os.PathLike) else [Path(each) for each in source]
    writer = open_writer(store)
    check_outside(writer.path, paths)
    shown = make_progress(progress)
    found = find_source(paths, package=package, metadata=as_paths(metadata), key=key, with_indirect=True, shown=shown)
    if isinstance(found, PatchPackage):
        options = {"package": found.patches.package, "codec": codec, "shard_nbytes": shard_nbytes}
        job = Job(tuple(path.name for path in paths), found.fingerprint, None, options)
        with work_on(writer, job, overwrite=overwrite) as state:
            if state != "complete":
                readers = count_readers(found.patches.members, workers)
                packing = Packing(writer, job.fingerprint, threads, DEFAULT_SHARD_NBYTES, readers=readers)
                _write_patches(found, job, packing, shown)
        return _report(writer.path, state=state, seconds=time.perf_counter() - start)
    if codec != "none":
        raise InvalidRequestError(f"codec {codec!r}: images are kept as they are; only arrays are compressed")
    shard_nbytes = DEFAULT_SHARD_NBYTES if shard_nbytes is None else shard_nbytes
    options = {"package": found.images.package, "rows": rows, "check": check, "shard_nbytes": shard_nbytes}
    if key is not None:
        options["key"] = key
    job = Job(
        tuple(path.name for path in paths),
        found.images.members.fingerprint(found.images.indices),
        "+".join(map(fingerprint_file, found.tables)) or None,
        options,
    )
    with work_on(writer, job, overwrite=overwrite) as state:
        if state != "complete":
            readers = count_readers(found.images.members, workers)
            packing = Packing(writer, job.fingerprint, threads, shard_nbytes, index=index, readers=readers)
            _Run(found, job, packing, shown).all_steps()
    if index:
        make_tables(writer.path, check=check, threads=threads, shown=shown)
    return _report(
        writer.path, state=state, seconds=time.perf_counter() - start, table=found.table, further=found.further
    )


def _write_patches(found: PatchPackage, job: Job, packing: Packing, shown: Progress) -> None:
    """Do all steps of an ingest of patches that is not complete."""
    codec = job.options["codec"]
    content = found.content(codec=None if codec == "none" else codec, shard_nbytes=job.options["shard_nbytes"])
    begin_packing(packing.writer, content)
    written = write_content(packing, content, shown)
    found.patches.members.check_unchanged()
    troubles = found.troubles(written.results)
    write_troubles(troubles_path(packing.writer.path), troubles)
    counts = found.counts(troubles) | count_records(content, written)
    _commit(packing.writer, job, content, found.publisher, counts)


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of an ingest that is not complete."""

    package: Package
    job: Job
    packing: Packing
    progress: Progress

    @property
    def writer(self) -> StoreWriter:
        return self.packing.writer

    def all_steps(self) -> None:
        options, directory = self.job.options, self.writer.work_directory
        images = self.package.images
        spill_indirect(images.members, images.indices, directory / "images.bin")
        joined = self.package.join(
            key=options.get("key"), rows=options["rows"], directory=directory, shown=self.progress
        )
        content = Content(
            joined.publisher.key,
            joined.plan.keys,
            [self._image_content(joined), *joined.texts()],
            joined.columns,
        )
        begin_packing(self.writer, content)
        written = write_content(self.packing, content, self.progress)
        images.members.check_unchanged()
        counts = self._count(joined, written.results[joined.publisher.field])
        counts |= {"split": dict(written.splits)}
        _commit(self.writer, self.job, content, joined.publisher, counts)

    def _image_content(self, joined: JoinedPackage) -> FieldContent:
        images, plan = joined.images, joined.plan
        extents = images.members.extents(images.indices[plan.image].astype(np.uint64))
        spec = FieldSpec(joined.publisher.field, "jpeg")
        return FieldContent(spec, extents, joined.image_nbytes, plan.record, self.job.options["check"])

    def _count(self, joined: JoinedPackage, result: PackResult) -> dict[str, Any]:
        status = column(result.status, np.uint8)
        troubles = joined.troubles(status, dict(result.details))
        write_troubles(troubles_path(self.writer.path), troubles)
        return joined.counts(status, column(result.nbytes, np.uint32), troubles)


def _commit(
    writer: StoreWriter, job: Job, content: Content, publisher: Source | PatchSource, counts: Mapping[str, Any]
) -> None:
    from arraystore import _core

    spec = StoreSpec(
        n=content.n,
        fields=tuple(each.spec for each in content.fields),
        key=publisher.key,
        dataset=publisher.dataset,
        package=job.options["package"],
        splits=publisher.splits,
        source=job.to_json(),
        counts=counts,
        created_by=f"arraystore {_core.__version__}",
    )
    writer.commit(spec)
    remove_workdir(writer)


def troubles_path(store: Path) -> Path:
    """Return where the list of troubles of a store stands: beside it, under its name and `.troubles.csv`."""
    return store.with_name(store.name + ".troubles.csv")


def _report(
    store: Path, *, state: str, seconds: float, table: Path | None = None, further: Sequence[Path] = ()
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
        metadata=table,
        joined=tuple(further),
        state=state,
    )


def count_readers(members: Members, workers: int | None) -> int:
    """Return how many threads read a source: of a folder, each file must be waited for."""
    return thread_count(workers, name="workers", waiting=bool(members.folders))


def check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a value that an option does not have."""
    if value not in choices:
        raise InvalidRequestError(f"{option} {value!r}: expected one of {', '.join(choices)}")


def check_outside(store: Path, sources: Sequence[Path]) -> None:
    """Refuse a store that lies inside of its source."""
    for source in sources:
        if store.is_relative_to(source.absolute()):
            raise SourceError(f"{store} lies inside of the source {source}: choose a place outside", "store-in-source")
