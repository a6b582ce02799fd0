"""Append: records of further sources added to a finished store, which stays readable as it was until all is there."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, get_args

from arraystore.errors import InvalidRequestError
from arraystore.format.containers import open_growing
from arraystore.format.spec import Status, StoreSpec
from arraystore.format.writer import GrowingStore
from arraystore.ingestion.additions import Additions, find_additions
from arraystore.ingestion.copying import count_records
from arraystore.ingestion.fields import Packing, write_content
from arraystore.ingestion.package import Package, as_paths, find_package
from arraystore.ingestion.plan import Rows
from arraystore.ingestion.progress import Progress, format_count, format_nbytes, make_progress
from arraystore.ingestion.report import HARMLESS, trouble_words
from arraystore.ingestion.run import Check, check_choice, check_outside, count_readers
from arraystore.ingestion.seek import make_tables
from arraystore.ingestion.stored import StoredPart
from arraystore.ingestion.troubles import write_troubles
from arraystore.ingestion.workdir import Job, grow, remove_workdir, tidy_up
from arraystore.sources.hdf5_members import spill_indirect
from arraystore.sources.tables import fingerprint_file
from arraystore.threads import thread_count

PathLike: TypeAlias = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class AppendReport:
    """The result of an append.

    Attributes
    ----------
    path : Path
        The store.
    records : int
        Records in the store now.
    added : int
        Records that are new.
    images : int
        Images that are new.
    image_nbytes : int
        Bytes of these images.
    filled : int
        Records of the store that had no image and have one now.
    merged : int
        Images that the store had already, with the same bytes.
    seconds : float
        Time from start to end.
    state : {"new", "resumed", "complete"}
        Whether the append was made, finished, or there was nothing to add.
    troubles : mapping of str to int
        Number of troubles by kind.
    troubles_path : Path or None
        The list of troubles, if there are any.
    generation : int
        How often the store has grown.
    """

    path: Path
    records: int
    added: int
    images: int
    image_nbytes: int
    filled: int
    merged: int
    seconds: float
    state: str
    troubles: Mapping[str, int]
    troubles_path: Path | None
    generation: int

    @property
    def exit_code(self) -> int:
        """0 if all went well, 3 if the append finished with troubles."""
        return 3 if set(self.troubles) - HARMLESS else 0

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain JSON types."""
        return {
            "path": str(self.path),
            "state": self.state,
            "records": self.records,
            "added": self.added,
            "images": self.images,
            "image_nbytes": self.image_nbytes,
            "filled": self.filled,
            "merged": self.merged,
            "seconds": round(self.seconds, 3),
            "troubles": dict(self.troubles),
            "troubles_path": str(self.troubles_path) if self.troubles_path else None,
            "generation": self.generation,
            "exit_code": self.exit_code,
        }

    def __str__(self) -> str:
        total = format_count(self.records, "record")
        if self.state == "complete":
            return f"{self.path} has all of it already: {total}"
        images, records = format_count(self.images, "image"), format_count(self.added, "record")
        added = f"{images} ({format_nbytes(self.image_nbytes)}) and {records} added"
        lines = [f"{self.path}: {added}, in {self.seconds:,.1f} s; {total} now"]
        if self.filled:
            filled = ("record had no image and has one now", "records had no image and have one now")
            lines.append(f"  {format_count(self.filled, *filled)}")
        if self.merged:
            merged = ("image was in the store already (kept once)", "images were in the store already (kept once)")
            lines.append(f"  {format_count(self.merged, *merged)}")
        lines += [f"  {trouble_words(kind, count)}" for kind, count in self.troubles.items()]
        if self.troubles_path is not None:
            lines.append(f"  listed in {self.troubles_path}")
        return "\n".join(lines)


def append(
    store: PathLike,
    source: PathLike | Sequence[PathLike],
    *,
    package: str | None = None,
    metadata: PathLike | Sequence[PathLike] | None = None,
    key: str | None = None,
    check: Check = "header",
    rows: Rows | None = None,
    workers: int | None = None,
    progress: bool | None = None,
) -> AppendReport:
    """Add the images of further sources, and their table, to a store.

    New records follow those that are there. A record that has no image, or no text, and for which the source has one,
    is given it; where a value of a column is missing, it is taken from the table. What the store has stays as it is.
    The store can be read all the while, and a reader that has it open keeps reading what it opened. An append that is
    interrupted is finished by the same call; another append takes its place.

    Parameters
    ----------
    store : path-like
        A finished store in Zarr.
    source : path-like or sequence of path-like
        As for `arraystore.ingest`.
    package, metadata, key, check : optional
        As for `arraystore.ingest`.
    rows : {"all", "images"}, optional
        Whether rows of the table that are not in the store yet become records although they have no image; as the store
        was made, if not given.
    workers : int, optional
        As for `arraystore.ingest`.
    progress : bool, optional
        Whether progress is written to standard error. By default it is if that is a terminal.

    Returns
    -------
    AppendReport
        Counts, time and troubles. Its `exit_code` is 3 if there were troubles, as for `arraystore.ingest`; they are
        listed in `<store>.generation-<number>.troubles.csv`.

    Raises
    ------
    DuplicateKeyError
        If the source has other bytes than the store for one key; both places are named, and nothing was written.
    InvalidRequestError
        If the source is of another data set or package than the store, or a column has values of another type; or if
        the store has its keys from a table, and there is none with the source.
    FormatError
        If the store lies in a container that does not grow, or has fields of arrays: a merge takes these.
    SourceError, OSError
        As for `arraystore.ingest`. What is packed is kept; the same call goes on.
    """
    start = time.perf_counter()
    check_choice("check", check, get_args(Check))
    threads = thread_count(workers, name="workers")
    paths = [Path(source)] if isinstance(source, str | os.PathLike) else [Path(each) for each in source]
    growing = open_growing(store)
    check_outside(growing.path, paths)
    spec = growing.base.spec
    rows = rows if rows is not None else _rows_of(spec.source)
    check_choice("rows", rows, get_args(Rows))
    shown = make_progress(progress)
    found = find_package(paths, package=package, metadata=as_paths(metadata), key=key, with_indirect=True, shown=shown)
    _check_compatible(growing, found)
    options = {"package": found.images.package, "rows": rows, "check": check} | ({} if key is None else {"key": key})
    job = Job(
        tuple(path.name for path in paths),
        found.images.members.fingerprint(found.images.indices),
        "+".join(map(fingerprint_file, found.tables)) or None,
        options,
    )
    counts = None
    if job.to_json()["fingerprint"] in _known_fingerprints(spec):
        tidy_up(growing)
    else:
        with grow(growing, job) as state:
            readers = count_readers(found.images.members, workers)
            run = _Run(growing, found, job, threads, readers, shown)
            counts = run.all_steps()
    # What is missing although new images got theirs while they were packed. With "pixels" all others would be decoded.
    make_tables(growing.path, check="header", threads=threads, shown=shown, is_anew=counts is not None)
    if counts is None:
        return _nothing_added(growing, start)
    listed = troubles_path(growing.path, spec.generation + 1)
    return AppendReport(
        path=growing.path,
        seconds=time.perf_counter() - start,
        state=state,
        troubles_path=listed if counts["troubles"] else None,
        generation=spec.generation + 1,
        **counts,
    )


def troubles_path(store: Path, generation: int) -> Path:
    """Return where the list of troubles of an append stands: beside the store, and beside that of its ingest."""
    return store.with_name(f"{store.name}.generation-{generation}.troubles.csv")


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of an append."""

    growing: GrowingStore
    found: Package
    job: Job
    threads: int
    readers: int
    progress: Progress

    def all_steps(self) -> dict[str, Any] | None:
        growing, options = self.growing, self.job.options
        images, directory = self.found.images, growing.work_directory
        spill_indirect(images.members, images.indices, directory / "images.bin")
        joined = self.found.join(key=options.get("key"), rows=options["rows"], directory=directory, shown=self.progress)
        if joined.publisher.key != growing.base.spec.key:
            raise InvalidRequestError(
                f"the key of {growing.path} is {growing.base.spec.key!r}, that of the source is "
                f"{joined.publisher.key!r}: name the column with --key, or call it so in the table",
                "not-one-package",
            )
        # What is known by a table cannot be told from names of files.
        file_names = {each.name for each in joined.publisher.table.columns} & {"image_file"}
        if not joined.has_table and file_names & set(growing.base.column_names):
            raise InvalidRequestError(
                f"{growing.path} knows images by the key that the metadata table has for the names of their files: "
                "name the table with --metadata",
                "needs-metadata",
            )
        additions = find_additions(
            StoredPart(growing.base), joined, check=options["check"], threads=self.threads, shown=self.progress
        )
        if additions is None:
            remove_workdir(growing)
            return None
        packing = Packing(
            growing,
            self.job.fingerprint,
            self.threads,
            _shard_nbytes(growing),
            growing.existing,
            index=True,
            readers=self.readers,
        )
        written = write_content(packing, additions.content, self.progress)
        images.members.check_unchanged()
        troubles = additions.troubles(written.results[joined.publisher.field])
        write_troubles(troubles_path(growing.path, growing.base.spec.generation + 1), troubles)
        counts = additions.counts() | {"troubles": {each.kind: each.count for each in troubles}}
        self._commit(additions, count_records(additions.content, written), counts)
        return counts | {"records": additions.content.n}

    def _commit(self, additions: Additions, counts: Mapping[str, Any], added: Mapping[str, Any]) -> None:
        from arraystore import _core

        spec, publisher = self.growing.base.spec, additions.joined.publisher
        entry = self.job.to_json() | dict(added) | {"added_rows": additions.added_rows}
        appended = [*spec.source.get("appended", []), entry]
        splits = {**{name: list(parts) for name, parts in publisher.splits.items()}, **spec.splits}
        self.growing.commit(
            replace(
                spec,
                n=additions.content.n,
                fields=tuple(each.spec for each in additions.content.fields),
                splits=splits,
                source={**spec.source, "appended": appended},
                counts={**spec.counts, **counts, "troubles": _troubles_now(spec.counts, counts, added)},
                checksums={},
                created_by=f"arraystore {_core.__version__}",
            )
        )
        self.growing.remove_older()
        remove_workdir(self.growing)


def _troubles_now(before: Mapping[str, Any], now: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, int]:
    """Return the troubles of a grown store: those of all its steps, but for images that came since."""
    troubles = dict(before.get("troubles", {}))
    for kind, count in added["troubles"].items():
        troubles[kind] = troubles.get(kind, 0) + count
    missing = now["status"].get(Status.MISSING.label, 0)
    troubles["row-without-image"] = min(troubles.get("row-without-image", 0), missing)
    troubles |= {each.label: now["status"].get(each.label, 0) for each in Status if each.label in troubles}
    return {kind: count for kind, count in troubles.items() if count}


def _rows_of(source: Mapping[str, Any]) -> Rows:
    """Return which rows of its table a store was made with."""
    while isinstance(source.get("from"), Mapping):
        source = source["from"]
    options = source.get("options")
    rows = options.get("rows") if isinstance(options, Mapping) else None
    return "images" if rows == "images" else "all"


def _check_compatible(growing: GrowingStore, found: Package) -> None:
    spec, publisher = growing.base.spec, found.publisher
    facts = [("data set", spec.dataset, publisher.dataset), ("field", spec.fields[0].name, publisher.field)]
    if publisher.splits:
        facts.append(("package", spec.package, found.images.package))
    for what, has, given in facts:
        if has != given:
            raise InvalidRequestError(
                f"the {what} of {growing.path} is {has}, that of the source is {given}: make a store of its own of it",
                "not-one-package",
            )


def _known_fingerprints(spec: StoreSpec) -> set[str]:
    appended = spec.source.get("appended", [])
    # What could not be read is tried again.
    return {each["fingerprint"] for each in appended if "unreadable" not in each.get("troubles", {})}


def _shard_nbytes(growing: GrowingStore) -> int:
    """Return the size of shards of the main field; that of keys, and of fields that are new."""
    return growing.existing[growing.base.spec.fields[0].name].shard_nbytes


def _nothing_added(growing: GrowingStore, start: float) -> AppendReport:
    spec = growing.base.spec
    return AppendReport(
        path=growing.path,
        records=spec.n,
        added=0,
        images=0,
        image_nbytes=0,
        filled=0,
        merged=0,
        seconds=time.perf_counter() - start,
        state="complete",
        troubles={},
        troubles_path=None,
        generation=spec.generation,
    )
