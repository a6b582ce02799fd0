"""Merge: the union of several stores, such as those that several machines have made of parts of a package."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from arraystore.errors import FormatError, InvalidRequestError
from arraystore.format.base import Layout
from arraystore.format.columns import WritableColumn
from arraystore.format.containers import open_layout, open_writer
from arraystore.format.spec import FieldSpec, StoreSpec
from arraystore.format.writer import StoreWriter
from arraystore.ingestion.content import Content, LazyColumns
from arraystore.ingestion.copying import CopyReport, check_distinct, gather_fields, job_of, write_store
from arraystore.ingestion.export import report_of
from arraystore.ingestion.items import Gathering
from arraystore.ingestion.progress import Progress, make_progress
from arraystore.ingestion.stored import StoredPart
from arraystore.ingestion.union import ColumnPart, unite_columns
from arraystore.sources.archive import column, concatenate
from arraystore.sources.registry import ANY_FOLDER
from arraystore.threads import thread_count

if TYPE_CHECKING:
    from arraystore._core import Strings

PathLike: TypeAlias = str | os.PathLike[str]


def merge(
    stores: Sequence[PathLike],
    target: PathLike,
    *,
    workers: int | None = None,
    progress: bool | None = None,
    overwrite: bool = False,
    shard_nbytes: int | None = None,
) -> CopyReport:
    """Make one store of several: all records of the first, then those that only the second has, and so on.

    A record that several stores have must have the same bytes in all of them, and the same values in its columns; what
    one store lacks, an image, a text or a value, is taken from another. Columns are joined by name. Patches that
    records share stay shared, also those that two stores have; they are compressed as in the first store that has the
    field. The store is finished, and taken up again after an interruption, as `arraystore.ingest` does it.

    Parameters
    ----------
    stores : sequence of path-like
        At least two stores of one package, in any container.
    target : path-like
        The store to make.
    workers : int, optional
        Threads; without it `ARRAYSTORE_NUM_THREADS`, or all cores of this process.
    progress : bool, optional
        Whether progress is written to standard error. By default it is if that is a terminal.
    overwrite : bool, default False
        Whether a store that stands there already is replaced.
    shard_nbytes : int, optional
        Size of the files that hold the images of a store in Zarr; see `arraystore.export`.

    Returns
    -------
    CopyReport
        Its `merged` is the number of records that were in a store before.

    Raises
    ------
    DuplicateKeyError
        If two stores have different bytes, or different values of a column, for one record; both places are named.
    InvalidRequestError
        If the stores are not of one package, their keys have different names, or a column has values of different
        types.
    FormatError
        If a field is of different kinds, or its arrays have different types or shapes.
    DamagedStoreError
        If a record is not as it was written.
    SourceError, OSError
        As for `arraystore.ingest`.

    Examples
    --------
    >>> import arraystore
    >>> store = arraystore.open("cropped_256.zarr")
    >>> for half, rows in [("left.zarr", slice(0, 20)), ("right.zarr", slice(15, None))]:
    ...     report = arraystore.export(store.select(rows), half)
    >>> arraystore.merge(["left.zarr", "right.zarr"], "both.zarr").merged
    5
    """
    start = time.perf_counter()
    threads = thread_count(workers, name="workers")
    shown = make_progress(progress)
    if isinstance(stores, str | os.PathLike) or len(stores) < 2:
        raise InvalidRequestError("a merge takes at least two stores")
    layouts = [open_layout(each) for each in stores]
    writer = open_writer(target)
    check_distinct(writer.path, layouts)
    _check_compatible(layouts)
    parts = [StoredPart(layout) for layout in layouts]
    job = job_of(layouts, {"shard_nbytes": shard_nbytes})
    state = write_store(
        writer,
        job,
        lambda: (_content(parts, writer, threads=threads, shown=shown, shard_nbytes=shard_nbytes), _spec(layouts)),
        overwrite=overwrite,
        threads=threads,
        shown=shown,
    )
    made = open_layout(writer.path)
    merged = sum(layout.spec.n for layout in layouts) - made.spec.n
    return report_of(made, state=state, seconds=time.perf_counter() - start, merged=merged)


def _check_compatible(layouts: Sequence[Layout]) -> None:
    first = layouts[0]
    kinds: dict[str, tuple[FieldSpec, Layout]] = {}
    for layout in layouts:
        spec = layout.spec
        facts = [("key", first.spec.key, spec.key), ("data set", first.spec.dataset, spec.dataset)]
        if spec.dataset != ANY_FOLDER.dataset:
            # The keys of all packages of a data set are the same, and their images are not.
            facts.append(("package", first.spec.package, spec.package))
        for what, one, other in facts:
            if one != other:
                raise InvalidRequestError(
                    f"the {what} of {first.path} is {one!r}, that of {layout.path} is {other!r}: "
                    "merge stores of one package",
                    "not-one-package",
                )
        for each in spec.fields:
            known, where = kinds.setdefault(each.name, (each, layout))
            if replace(known, codec=None) != replace(each, codec=None):
                raise FormatError(
                    f"field {each.name} is of {_form(known)} in {where.path} and of {_form(each)} in {layout.path}: "
                    "they cannot be merged"
                )
    if any(layout.path == other.path for index, layout in enumerate(layouts) for other in layouts[:index]):
        raise InvalidRequestError("a store is named twice: name each once", "named-twice")


def _form(of: FieldSpec) -> str:
    if of.kind != "array":
        return f"kind {of.kind}"
    return f"{of.dtype} arrays of {'x'.join(map(str, of.shape))}"


def _spec(layouts: Sequence[Layout]) -> StoreSpec:
    first = layouts[0].spec
    splits: dict[str, list[str]] = {}
    for layout in layouts:
        for name, parts in layout.spec.splits.items():
            splits[name] = list(dict.fromkeys([*splits.get(name, []), *parts]))
    packages = list(dict.fromkeys(layout.spec.package for layout in layouts))
    return replace(
        first,
        package=packages[0] if len(packages) == 1 else f"{packages[0]} and {len(packages) - 1} more",
        splits=splits,
        source={"stores": [{"name": layout.path.name, **layout.spec.source} for layout in layouts]},
        counts={
            name: _summed([layout.spec.counts.get(name) for layout in layouts])
            for name in ("rows_left_out", "images_left_out", "troubles")
        },
    )


def _summed(values: Sequence[object]) -> object:
    if any(isinstance(value, Mapping) for value in values):
        total: dict[str, int] = {}
        for value in values:
            for kind, count in value.items() if isinstance(value, Mapping) else ():
                total[kind] = total.get(kind, 0) + count
        return total
    return sum(value for value in values if isinstance(value, int))


def _content(
    parts: Sequence[StoredPart], writer: StoreWriter, *, threads: int, shown: Progress, shard_nbytes: int | None
) -> Content:
    keys = _number_records(parts)
    fields: dict[str, FieldSpec] = {}
    for each in (each for part in parts for each in part.spec.fields):
        fields.setdefault(each.name, each)
    gathering = Gathering(
        keys.__getitem__, writer.work_directory, writer.has_codecs, threads, shown, shard_nbytes=shard_nbytes
    )
    # All is compared here, before a byte is written.
    contents = gather_fields(list(fields.values()), parts, len(keys), gathering)
    return Content(parts[0].spec.key, keys, contents, lambda: _columns(parts, keys))


def _number_records(parts: Sequence[StoredPart]) -> Strings:
    """Give every row of every part its record, and return the keys of all records."""
    from arraystore import _core

    keys = _core.Strings.from_list([])
    for part in parts:
        keys = concatenate(keys, part.keys)
    pairs = column(_core.index_keys(keys)[2], np.uint32).astype(np.int64).reshape(-1, 2)
    is_new = np.ones(len(keys), bool)
    is_new[pairs[:, 1]] = False
    record = np.cumsum(is_new) - 1
    record[pairs[:, 1]] = record[pairs[:, 0]]
    start = 0
    for part in parts:
        part.record = record[start : start + part.spec.n]
        start += part.spec.n
    return keys.take(np.flatnonzero(is_new).astype(np.uint64))


def _columns(parts: Sequence[StoredPart], keys: Strings) -> Mapping[str, WritableColumn]:
    def united(name: str) -> WritableColumn:
        given = [
            ColumnPart(part.layout.read_column(name), part.record, str(part.path))
            for part in parts
            if name in part.layout.column_names
        ]
        return unite_columns(name, given, len(keys), key_of=keys.__getitem__)

    names = dict.fromkeys(name for part in parts for name in part.layout.column_names)
    return LazyColumns({name: partial(united, name) for name in names})
