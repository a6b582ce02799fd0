"""What sources hold: the images of one package and the table beside them, found, and joined by key."""

from __future__ import annotations

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
from arraystore.ingestion.frame import build_columns, text_names
from arraystore.ingestion.plan import Plan, Rows, make_plan
from arraystore.ingestion.progress import Progress
from arraystore.ingestion.troubles import Troubles
from arraystore.sources.archive import column, scan_sources
from arraystore.sources.base import ImageSet, Source
from arraystore.sources.registry import recognise
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
    """

    publisher: Source
    images: ImageSet
    table: Path | None

    def join(self, *, key: str | None, rows: Rows, spill: Path, shown: Progress) -> JoinedPackage:
        """Read the table and join it with the images.

        Parameters
        ----------
        key : str or None
            Column of the table that names the images, if one was asked for.
        rows : {"all", "images"}
            Whether rows of the table without an image become records.
        spill : Path
            File to write long texts to.
        shown : Progress
            Where progress is shown.

        Returns
        -------
        JoinedPackage

        Raises
        ------
        SourceError, DuplicateKeyError
            If the table is damaged, or table and images contradict each other.
        """
        publisher, metadata = self.publisher, None
        if self.table is not None:
            publisher = publisher.for_table(self.table, key=key)
            with shown.phase("metadata", unit="rows") as advance:
                metadata = read_metadata(self.table, publisher.table, key=publisher.key, spill=spill, progress=advance)
        plan = make_plan(
            self.images,
            metadata,
            image_keys=publisher.image_keys(self.images, metadata),
            key=publisher.key,
            rows=rows,
            known_splits=publisher.splits,
        )
        return JoinedPackage(publisher, self.images, plan, metadata is not None, metadata)


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
    metadata : MetadataTable or None
        The table; None after `columns`, since its cells are a gigabyte for five million rows.
    """

    publisher: Source
    images: ImageSet
    plan: Plan
    has_table: bool
    metadata: MetadataTable | None

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
        return build_columns(self.plan, self.images, metadata, key=self.publisher.key)

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


def find_package(
    paths: Sequence[Path], *, package: str | None, metadata: Path | None, key: str | None, shown: Progress
) -> Package:
    """Scan sources, tell the images of one package, and look for the table.

    Parameters
    ----------
    paths : sequence of Path
        Folders and archives.
    package : str or None
        Which package of a publisher is meant, if that was said.
    metadata : Path or None
        The table; it is looked for in its published place if not given.
    key : str or None
        Column of the table that names the images, if one was asked for.
    shown : Progress
        Where progress is shown.

    Returns
    -------
    Package

    Raises
    ------
    SourceError
        If there are no images, or it is not clear of which package, or an archive is damaged.
    InvalidRequestError
        If a key is asked for and there is no table.
    """
    with shown.phase("scan", unit="files") as advance:
        members = scan_sources(paths, progress=advance)
    publisher = recognise(members, package=package)
    images = publisher.images(members, package=package)
    table = metadata if metadata is not None else publisher.find_table(paths)
    if key is not None and table is None:
        raise InvalidRequestError(f"key {key!r} is a column of a table: name the table with --metadata")
    return Package(publisher, images, table)


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
