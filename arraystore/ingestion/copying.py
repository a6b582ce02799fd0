"""Content of stores into a new store, and what is told of it at the end: what export and merge have in common."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from arraystore.errors import InvalidRequestError
from arraystore.format.base import Layout
from arraystore.format.items import holds_samples, worst_status
from arraystore.format.layout import DEFAULT_SHARD_NBYTES
from arraystore.format.spec import FieldSpec, Status, StoreSpec
from arraystore.format.writer import StoreWriter
from arraystore.ingestion.content import Content, FieldContent, ItemsContent
from arraystore.ingestion.fields import Packing, Written, write_content
from arraystore.ingestion.items import Gathering, gather_array_field
from arraystore.ingestion.progress import Progress, format_count, format_nbytes
from arraystore.ingestion.seek import make_tables
from arraystore.ingestion.stored import StoredPart, gather_field
from arraystore.ingestion.workdir import Job, State, begin_packing, remove_workdir, work_on


@dataclass(frozen=True, slots=True)
class CopyReport:
    """The result of an export or a merge.

    Attributes
    ----------
    path : Path
        What was made.
    records : int
        Records in it.
    images : int
        Records with an image.
    image_nbytes : int
        Bytes of these images.
    seconds : float
        Time from start to end.
    state : {"new", "resumed", "complete"}
        Whether it was made, finished, or complete already.
    status : mapping of str to int
        Number of records by status of their image.
    merged : int
        Records that several stores have.
    table : Path or None
        The table that was written beside images.
    advice : str
        The command that makes a store of exported files again; empty for a store.
    """

    path: Path
    records: int
    images: int
    image_nbytes: int
    seconds: float
    state: str = "new"
    status: Mapping[str, int] = field(default_factory=dict)
    merged: int = 0
    table: Path | None = None
    advice: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain JSON types."""
        return {
            "path": str(self.path),
            "state": self.state,
            "records": self.records,
            "images": self.images,
            "image_nbytes": self.image_nbytes,
            "seconds": round(self.seconds, 3),
            "status": dict(self.status),
            "merged": self.merged,
            "table": None if self.table is None else str(self.table),
        }

    def __str__(self) -> str:
        images, records = format_count(self.images, "image"), format_count(self.records, "record")
        content = f"{images} ({format_nbytes(self.image_nbytes)}), {records}"
        if self.state == "complete":
            return f"{self.path} is complete already: {content}"
        lines = [f"{self.path}: {content}, in {self.seconds:,.1f} s"]
        if self.merged:
            several = ("record is in several stores (kept once)", "records are in several stores (kept once)")
            lines.append(f"  {format_count(self.merged, *several)}")
        if self.table is not None:
            lines.append(f"  metadata in {self.table}")
        if self.advice:
            lines.append(f"  a store again: {self.advice}")
        return "\n".join(lines)


def check_distinct(target: Path, stores: Sequence[Layout]) -> None:
    """Refuse a target that is one of the stores that are read, or lies inside of one.

    Parameters
    ----------
    target : Path
        What is to be made.
    stores : sequence of Layout
        What is read.

    Raises
    ------
    InvalidRequestError
        If so.
    """
    resolved = target.resolve()
    for each in stores:
        if resolved.is_relative_to(each.path.resolve()) or each.path.resolve().is_relative_to(resolved):
            raise InvalidRequestError(
                f"{target} and the store {each.path} are one, or one lies inside of the other: choose another place",
                "store-in-source",
            )


def job_of(stores: Sequence[Layout], options: Mapping[str, Any]) -> Job:
    """Return what is to be done with stores, as the work directory remembers it.

    Parameters
    ----------
    stores : sequence of Layout
        What is read. Their descriptions hold the checksums of all index arrays, and so of all that they consist of.
    options : mapping
        Options on which the result depends.

    Returns
    -------
    Job
    """
    digest = hashlib.blake2b(json.dumps([each.spec.to_json() for each in stores]).encode(), digest_size=8).digest()
    return Job(tuple(each.path.name for each in stores), int.from_bytes(digest, "little"), None, options)


def gather_fields(
    specs: Sequence[FieldSpec], parts: Sequence[StoredPart], n: int, gathering: Gathering
) -> list[FieldContent | ItemsContent]:
    """Gather all fields of some stores, the main one first.

    Parameters
    ----------
    specs : sequence of FieldSpec
        The fields.
    parts : sequence of StoredPart
        The stores.
    n : int
        Number of records of the result.
    gathering : Gathering
        How.

    Returns
    -------
    list of FieldContent or ItemsContent

    Raises
    ------
    DuplicateKeyError, DamagedStoreError
        As `gather_field` and `gather_array_field`.
    """
    return [
        gather_array_field(each, parts, n, gathering, is_main=each is specs[0])
        if each.kind == "array"
        else gather_field(each, parts, n, gathering.key_of, threads=gathering.threads, shown=gathering.shown)
        for each in specs
    ]


def write_store(
    writer: StoreWriter,
    job: Job,
    make: Callable[[], tuple[Content, StoreSpec]],
    *,
    overwrite: bool,
    threads: int,
    shown: Progress,
) -> State:
    """Make a store, or finish one; see `arraystore.ingestion.workdir.work_on`.

    Parameters
    ----------
    writer : StoreWriter
        What makes it.
    job : Job
        What is to be done; its option `shard_nbytes` is the wanted size of a shard, None for the usual one.
    make : callable
        Gives what it is to hold, and its description but for what only writing finds out.
    overwrite : bool
        Whether another store that stands there is replaced.
    threads : int
        Threads that copy.
    shown : Progress
        Where progress is shown.

    Returns
    -------
    {"new", "resumed", "complete"}
    """
    from arraystore import _core

    with work_on(writer, job, overwrite=overwrite) as state:
        if state != "complete":
            content, spec = make()
            begin_packing(writer, content)
            shard_nbytes = job.options["shard_nbytes"]
            wanted = DEFAULT_SHARD_NBYTES if shard_nbytes is None else shard_nbytes
            packing = Packing(writer, job.fingerprint, threads, wanted, index=True)
            written = write_content(packing, content, shown)
            whole = replace(
                spec,
                n=content.n,
                fields=tuple(each.spec for each in content.fields),
                source=job.to_json() | {"from": dict(spec.source)},
                counts=dict(spec.counts) | count_records(content, written),
                checksums={},
                created_by=f"arraystore {_core.__version__}",
                generation=0,
                segments={},
            )
            writer.commit(whole)
            remove_workdir(writer)
    make_tables(writer.path, check="header", threads=threads, shown=shown)
    return state


def count_records(content: Content, written: Written) -> dict[str, Any]:
    """Return what a store says of its records: images, their bytes, records by status and by split.

    Parameters
    ----------
    content : Content
        What was written.
    written : Written
        What came of it.

    Returns
    -------
    dict of str to object
        Of plain JSON types.
    """
    counts: dict[str, Any] = {"split": dict(written.splits)}
    numbers = written.numbers[content.fields[0].spec.name]
    if isinstance(content.fields[0], ItemsContent):
        return counts | _count_items(content, written)
    if "status" in numbers:
        by_status = np.bincount(numbers["status"], minlength=len(Status))
        counts["status"] = _by_label(by_status)
        counts["images"] = int(content.n - by_status[Status.MISSING])
        counts["image_nbytes"] = int(numbers["nbytes"].sum(dtype=np.uint64))
    return counts


def _count_items(content: Content, written: Written) -> dict[str, Any]:
    """Count items, and records by the first of their items that is not sound."""
    fields = [each for each in content.fields if isinstance(each, ItemsContent)]
    status = [written.numbers[each.spec.name]["status"] for each in fields]
    worst = worst_status([(each.row, of_item) for each, of_item in zip(fields, status, strict=True)])
    return {
        "status": _by_label(np.bincount(worst, minlength=len(Status))),
        "images": sum(each.count for each in fields),
        "image_nbytes": sum(
            each.spec.item_nbytes * int(holds_samples(of_item).sum())
            for each, of_item in zip(fields, status, strict=True)
        ),
    }


def _by_label(counts: npt.NDArray[np.int64]) -> dict[str, int]:
    return {each.label: int(counts[each]) for each in Status if counts[each]}
