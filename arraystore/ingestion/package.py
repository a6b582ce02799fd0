"""What sources hold: the images of one package and the table beside them, found, and joined by key."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from arraystore.errors import InternalError, InvalidRequestError
from arraystore.format.columns import WritableColumn
from arraystore.format.spec import FieldSpec, Status
from arraystore.ingestion.content import FieldContent
from arraystore.ingestion.extras import JoinedTable, UnmatchedRows, join_extra
from arraystore.ingestion.frame import build_columns, text_names
from arraystore.ingestion.patches import PatchPackage, find_patches, refuse_to_open
from arraystore.ingestion.plan import Plan, Rows, make_plan
from arraystore.ingestion.progress import Progress
from arraystore.ingestion.troubles import Troubles, find_troubles
from arraystore.sources.archive import column, scan_sources
from arraystore.sources.base import BringsTable, ImageSet, PatchSource, Source
from arraystore.sources.registry import publisher_of_table, recognise
from arraystore.sources.tables import MetadataTable, read_metadata


@dataclass(frozen=True, slots=True)
class Package:
    """The images of one package, found in its sources, and where its table is.

    Parameters
    ----------
    publisher : Source
        Whose layout they have.
    images : ImageSet
        The images.
    table : Path or None
        The metadata table.
    further : sequence of Path
        Further tables, whose columns are joined to it.
    """

    publisher: Source
    images: ImageSet
    table: Path | None
    further: Sequence[Path] = ()

    @property
    def tables(self) -> list[Path]:
        """All tables."""
        return [] if self.table is None else [self.table, *self.further]

    def join(self, *, key: str | None, rows: Rows, directory: Path, shown: Progress) -> JoinedPackage:
        """Read the tables and join them with the images.

        Parameters
        ----------
        key : str or None
            Column of the table that names the images, if one was asked for.
        rows : {"all", "images"}
            Whether rows of the table without an image become records.
        directory : Path
            Where long texts are written to.
        shown : Progress
            Where progress is shown.

        Returns
        -------
        JoinedPackage

        Raises
        ------
        SourceError, DuplicateKeyError
            If a table is damaged, or table and images contradict each other.
        """
        from arraystore import _core

        publisher, metadata, table = self.publisher, None, self.table
        if table is not None:
            publisher = publisher.for_table(table, key=key)
        if isinstance(publisher, BringsTable):
            table = publisher.write_table(self.images, directory)
        if table is not None:
            with shown.phase("metadata", unit="rows") as advance:
                spill = directory / "text.bin"
                metadata = read_metadata(table, publisher.table, key=publisher.key, spill=spill, progress=advance)
        _core.release_memory()
        plan = make_plan(
            self.images,
            metadata,
            image_keys=publisher.image_keys(self.images, metadata),
            key=publisher.key,
            rows=rows,
            known_splits=publisher.splits,
        )
        joined = self._join_further(publisher, plan, metadata, directory) if metadata is not None else []
        unmatched = [each.unmatched for each in joined]
        _core.release_memory()
        return JoinedPackage(publisher, self.images, plan, metadata is not None, unmatched, metadata, joined)

    def _join_further(
        self, publisher: Source, plan: Plan, metadata: MetadataTable, directory: Path
    ) -> list[JoinedTable]:
        extras = list(publisher.own_extras(self.images, metadata)) if isinstance(publisher, BringsTable) else []
        extras += [publisher.extra_table(path, spill=directory / "extra.bin") for path in self.further]
        return [join_extra(plan, metadata, extra, key=publisher.key) for extra in extras]


@dataclass(slots=True)
class JoinedPackage:
    """A package whose images and table have been joined by key.

    Parameters
    ----------
    publisher : Source
        Whose layout it has; as it reads this table.
    images : ImageSet
        The images.
    plan : Plan
        Which record each image and each row becomes.
    has_table : bool
        Whether there is a table.
    unmatched : sequence of UnmatchedRows
        Rows of further tables that are of no record.
    metadata : MetadataTable or None
        The table; None after `columns`, since its cells are a gigabyte for five million rows.
    further : sequence of JoinedTable
        Further tables; empty after `columns`.
    """

    publisher: Source
    images: ImageSet
    plan: Plan
    has_table: bool
    unmatched: Sequence[UnmatchedRows]
    metadata: MetadataTable | None
    further: Sequence[JoinedTable]

    @property
    def image_nbytes(self) -> npt.NDArray[np.uint32]:
        """Size of each image of the plan, as the source says."""
        return self.images.nbytes[self.plan.image].astype(np.uint32)

    def texts(self) -> list[FieldContent]:
        """Return the columns of long texts, each as the field that it becomes."""
        return [_text_content(self.plan, self.metadata, name) for name in text_names(self.metadata)]

    def columns(self) -> Mapping[str, WritableColumn]:
        """Return the columns of all records and let go of the table: called once, and after `texts`."""
        metadata, self.metadata = self.metadata, None
        further, self.further = self.further, ()
        return build_columns(self.plan, self.images, metadata, further, key=self.publisher.key)

    def troubles(self, status: npt.NDArray[np.uint8], details: dict[int, str]) -> list[Troubles]:
        """Return what went wrong, the worst first; see `find_troubles`."""
        return find_troubles(
            self.plan, self.images, status, details, has_table=self.has_table, unmatched=self.unmatched
        )

    def counts(
        self, status: npt.NDArray[np.uint8], image_nbytes: npt.NDArray[np.uint32], troubles: Collection[Troubles]
    ) -> dict[str, Any]:
        """Return what a store says of its records.

        Parameters
        ----------
        status : ndarray of uint8, shape (k,)
            Status of each image of the plan.
        image_nbytes : ndarray of uint32, shape (k,)
            Bytes of each that are kept.
        troubles : collection of Troubles
            What went wrong.

        Returns
        -------
        dict of str to object
            Of plain JSON types.
        """
        plan = self.plan
        by_status = np.bincount(status, minlength=len(Status))
        by_status[Status.MISSING] += plan.n - len(plan.record)
        return {
            "images": len(plan.record),
            "image_nbytes": int(image_nbytes.sum(dtype=np.uint64)),
            "rows_left_out": plan.rows_left_out,
            "images_left_out": sum(len(group.indices) for group in self.images.skipped if not group.is_listed),
            "status": {each.label: int(by_status[each]) for each in Status if by_status[each]},
            "troubles": {each.kind: each.count for each in troubles},
        }


def as_paths(metadata: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None) -> list[Path] | None:
    """Return the tables that are named; None if none are."""
    if metadata is None:
        return None
    return [Path(metadata)] if isinstance(metadata, str | os.PathLike) else [Path(each) for each in metadata]


def find_source(
    paths: Sequence[Path],
    *,
    package: str | None,
    metadata: Sequence[Path] | None,
    key: str | None,
    with_indirect: bool = False,
    shown: Progress,
) -> Package | PatchPackage:
    """Scan sources, and tell whose they are: the images of one package and their tables, or its patches.

    Parameters
    ----------
    paths : sequence of Path
        Folders, archives and HDF5 files.
    package : str or None
        Which package of a publisher is meant, if that was said.
    metadata : sequence of Path or None
        The tables; they are looked for in their published places if not given.
    key : str or None
        Column of the table that names the images, if one was asked for.
    with_indirect : bool, default False
        Whether images are taken that cannot be read in place; see `hdf5_members.scan_hdf5`.
    shown : Progress
        Where progress is shown.

    Returns
    -------
    Package or PatchPackage

    Raises
    ------
    SourceError
        If there are no images, or it is not clear of which package, or an archive is damaged.
    InvalidRequestError
        If a key is asked for and there is no table.
    """
    with shown.phase("scan", unit="files") as advance:
        members = scan_sources(paths, with_indirect=with_indirect, progress=advance)
    publisher = recognise(members, package=package)
    if isinstance(publisher, PatchSource):
        patches = publisher.patches(members, package=package)
        return find_patches(publisher, patches, metadata=metadata and [str(path) for path in metadata], key=key)
    images = publisher.images(members, package=package)
    table, further = _tables(publisher, paths, metadata)
    if key is not None and table is None:
        raise InvalidRequestError(f"key {key!r} is a column of a table: name the table with --metadata")
    return Package(publisher, images, table, further)


def find_package(
    paths: Sequence[Path],
    *,
    package: str | None,
    metadata: Sequence[Path] | None,
    key: str | None,
    with_indirect: bool = False,
    shown: Progress,
) -> Package:
    """Find images and their tables, where no patches are taken.

    Parameters
    ----------
    paths, package, metadata, key, with_indirect, shown
        As for `find_source`.

    Returns
    -------
    Package

    Raises
    ------
    SourceError, InvalidRequestError
        As `find_source`, or if the sources are patches.
    """
    found = find_source(paths, package=package, metadata=metadata, key=key, with_indirect=with_indirect, shown=shown)
    if isinstance(found, PatchPackage):
        raise refuse_to_open(found, paths)
    return found


def find_table_alone(paths: Sequence[Path]) -> Package | None:
    """Return a publisher's metadata table as a package without an image.

    Parameters
    ----------
    paths : sequence of Path
        What was named as a source.

    Returns
    -------
    Package or None
        None if that is not one file with the name of such a table.
    """
    publisher = publisher_of_table(paths)
    if publisher is None:
        return None
    from arraystore import _core

    no_images = ImageSet(_core.scan([]), "metadata", np.empty(0, np.int64), {}, (), ())
    return Package(publisher, no_images, paths[0], publisher.find_extra_tables(paths[0]))


def _tables(
    publisher: Source, paths: Sequence[Path], named: Sequence[Path] | None
) -> tuple[Path | None, Sequence[Path]]:
    """Return the table that tells the records, and those that are joined to it."""
    if named is None:
        found = publisher.find_table(paths)
        return found, () if found is None else publisher.find_extra_tables(found)
    # A list in Excel tells no records, wherever it is named.
    first = next((path for path in named if path.suffix.lower() != ".xlsx"), None)
    if first is None:
        raise InvalidRequestError("metadata: expected a CSV, TSV or JSON-LD that tells the records, found none")
    return first, [path for path in named if path is not first]


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
