"""What sources add to a store: records that it does not have, and images, texts and values that its records lack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from arraystore import _core
from arraystore.errors import DuplicateKeyError, InternalError
from arraystore.format.columns import WritableColumn
from arraystore.format.spec import FieldSpec, Status
from arraystore.ingestion.content import Check, Content, FieldContent, LazyColumns
from arraystore.ingestion.package import JoinedPackage
from arraystore.ingestion.plan import Plan
from arraystore.ingestion.progress import Progress
from arraystore.ingestion.stored import StoredPart, known_of_images
from arraystore.ingestion.troubles import Line, Troubles, find_troubles
from arraystore.ingestion.union import ColumnPart, present, unite_columns
from arraystore.sources.archive import column, concatenate

if TYPE_CHECKING:
    from arraystore._core import PackResult

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Additions:
    """What is added to a store.

    Parameters
    ----------
    content : Content
        All that the store is to hold; of its fields, the bytes that are new.
    joined : JoinedPackage
        Where they come from.
    plan : Plan
        That of the sources, without what the store has already.
    rows : ndarray of int64
        Row of the store of each record of `plan`.
    base_n : int
        Records that the store has.
    merged : int
        Images that the store has, with the same bytes.
    """

    content: Content
    joined: JoinedPackage
    plan: Plan
    rows: Indices
    base_n: int
    merged: int

    def counts(self) -> dict[str, int]:
        """Return what an append tells of its additions."""
        images = self.content.fields[0]
        if not isinstance(images, FieldContent):
            raise InternalError(f"{images.spec.name} holds no images")
        return {
            "added": self.content.n - self.base_n,
            "images": len(images.record),
            "image_nbytes": int(images.nbytes.sum(dtype=np.uint64)),
            "filled": int((images.record < self.base_n).sum()),
            "merged": self.merged,
        }

    @property
    def added_rows(self) -> int:
        """Records that are new and have a row in the table."""
        return int(((self.rows >= self.base_n) & (self.plan.table_row >= 0)).sum())

    def troubles(self, result: PackResult) -> list[Troubles]:
        """Gather what is wrong with what is added, by the rows of the store.

        Parameters
        ----------
        result : PackResult
            Of the images.

        Returns
        -------
        list of Troubles
        """
        found = find_troubles(
            self.plan,
            self.joined.images,
            column(result.status, np.uint8),
            dict(result.details),
            has_table=self.joined.has_table,
            unmatched=self.joined.unmatched,
        )
        return [replace(each, lines=partial(self._in_rows, each)) for each in found]

    def _in_rows(self, troubles: Troubles) -> Iterator[Line]:
        for kind, key, row, source, detail in troubles.lines():
            yield kind, key, int(self.rows[row]) if isinstance(row, int) else row, source, detail


def find_additions(
    part: StoredPart, joined: JoinedPackage, *, check: Check, threads: int, shown: Progress
) -> Additions | None:
    """Compare sources with a store; nothing is written.

    Parameters
    ----------
    part : StoredPart
        The store.
    joined : JoinedPackage
        The sources.
    check : {"header", "pixels"}
        How far each new image is looked at.
    threads : int
        Threads that compare images which both have.
    shown : Progress
        Where progress is shown.

    Returns
    -------
    Additions or None
        None if the store has all of it.

    Raises
    ------
    DuplicateKeyError
        If both have an image of one key, and the bytes differ.
    InvalidRequestError
        If a column holds values of another type than in the store.
    """
    plan, n = joined.plan, part.spec.n
    known = column(_core.match_keys(part.keys, plan.keys), np.int64)
    is_new = known < 0
    # Of each record of the sources, the row of the store: its own, or one behind them all.
    row = np.where(is_new, n + np.cumsum(is_new) - 1, known)
    keys = concatenate(part.keys, plan.keys.take(np.flatnonzero(is_new).astype(np.uint64)))
    image = part.spec.field(joined.publisher.field)
    kept, merged = _new_images(part, joined, image, row, threads=threads, shown=shown)
    extents = joined.images.members.extents(joined.images.indices[plan.image[kept]].astype(np.uint64))
    # The order of the fields stays that of the store; what only the table has follows.
    fields = [
        FieldContent(image, extents, joined.image_nbytes[kept], row[plan.record[kept]], check, known_of(part, image)),
        *_texts(part, joined, row, len(keys)),
    ]
    given = joined.columns()
    content = Content(part.spec.key, keys, fields, lambda: _columns(part, given, row, len(keys)))
    if len(keys) == n and not any(len(each.record) for each in fields) and not _fills_columns(part, given, row):
        return None
    is_added = is_new.copy()
    is_added[plan.record[kept]] = True
    return Additions(content, joined, _without(plan, is_added, kept), row[is_added], n, merged)


def known_of(part: StoredPart, spec: FieldSpec) -> dict[str, npt.NDArray[Any]]:
    """Return the index arrays of a field as the store has them.

    Parameters
    ----------
    part : StoredPart
        The store.
    spec : FieldSpec
        One of its fields.

    Returns
    -------
    dict of str to ndarray
    """
    field = part.field(spec.name)
    known: dict[str, npt.NDArray[Any]] = {
        "offset": column(field.offsets(), np.uint64),
        "nbytes": column(field.nbytes(), np.uint32),
        "crc32c": column(field.checksums(), np.uint32),
    }
    return known | known_of_images(field, part.spec.n) if spec.kind == "jpeg" else known


def _new_images(
    part: StoredPart, joined: JoinedPackage, spec: FieldSpec, row: Indices, *, threads: int, shown: Progress
) -> tuple[Indices, int]:
    """Return which images of the plan the store lacks, and how many it has already."""
    plan, n = joined.plan, part.spec.n
    field = part.field(spec.name)
    nbytes, status = column(field.nbytes(), np.uint32), column(field.status(), np.uint8)
    target = row[plan.record]
    is_there = np.zeros(len(target), bool)
    in_store = np.flatnonzero(target < n)
    stored = target[in_store]
    # An empty file is an image, of no bytes; one that could not be read, or is missing, may come now.
    is_there[in_store] = (nbytes[stored] > 0) | (
        (status[stored] == Status.EMPTY) & (joined.image_nbytes[in_store] == 0)
    )
    both = np.flatnonzero(is_there)
    different = both[joined.image_nbytes[both] != nbytes[target[both]]]
    if not len(different):
        some = both[joined.image_nbytes[both] > 0]
        stored_order = some[np.argsort(joined.images.indices[plan.image[some]], kind="stable")]
        given = joined.images.members.extents(joined.images.indices[plan.image[stored_order]].astype(np.uint64))
        held = _core.Extents.of_field(field, target[stored_order].astype(np.uint64))
        with shown.phase("compare images", total=len(some), unit="images") as advance:
            found = _core.differing(held, given, threads=threads, progress=advance)
        different = stored_order[column(found, np.uint64).astype(np.int64)]
    if len(different):
        at = int(different[0])
        raise DuplicateKeyError(
            f"two different images have the key {plan.keys[int(plan.record[at])]!r}: {part.name_of(int(target[at]))} "
            f"and {joined.images.path(int(plan.image[at]))}; nothing was written: take the file out of the source"
        )
    return np.flatnonzero(~is_there), len(both)


def _texts(part: StoredPart, joined: JoinedPackage, row: Indices, n: int) -> list[FieldContent]:
    """Return the text fields of the store, with what it lacks of them; then those that only the table has."""
    given = {each.spec.name: each for each in joined.texts()}
    fields = []
    for spec in part.spec.fields:
        if spec.kind != "text":
            continue
        known = known_of(part, spec)
        has_text = np.zeros(n, bool)
        has_text[: part.spec.n] = known["nbytes"] > 0
        added = given.pop(spec.name, None)
        fields.append(_added(spec, added, has_text, row, known))
    return [*fields, *(_added(spec.spec, spec, np.zeros(n, bool), row, {}) for spec in given.values())]


def _added(
    spec: FieldSpec,
    given: FieldContent | None,
    has_text: npt.NDArray[np.bool_],
    row: Indices,
    known: Mapping[str, npt.NDArray[Any]],
) -> FieldContent:
    if given is None:
        nothing = np.zeros(0, np.int64)
        empty = _core.Extents.chain([])
        return FieldContent(spec, empty, nothing.astype(np.uint32), nothing, known=known)
    record = row[given.record]
    taken = np.flatnonzero((given.nbytes > 0) & ~has_text[record])
    return FieldContent(
        spec, given.extents.take(taken.astype(np.uint64)), given.nbytes[taken], record[taken], known=known
    )


def _columns(
    part: StoredPart, given: Mapping[str, WritableColumn], row: Indices, n: int
) -> Mapping[str, WritableColumn]:
    def united(name: str) -> WritableColumn:
        parts = []
        if name in part.layout.column_names:
            parts.append(ColumnPart(part.layout.read_column(name), part.record, str(part.path)))
        if name in given:
            parts.append(ColumnPart(given[name], row, "the source"))
        return unite_columns(name, parts, n)

    names = dict.fromkeys([*part.layout.column_names, *given])
    return LazyColumns({name: partial(united, name) for name in names})


def _fills_columns(part: StoredPart, given: Mapping[str, WritableColumn], row: Indices) -> bool:
    """Tell whether records that the store has get a column, or a value, that they lack."""
    for name, values in given.items():
        has_value = np.zeros(part.spec.n, bool)
        if name in part.layout.column_names:
            has_value = present(part.layout.read_column(name))
        rows = row[present(values)]
        if len(rows) and not has_value[rows].all():
            return True
    return False


def _without(plan: Plan, is_added: npt.NDArray[np.bool_], kept: Indices) -> Plan:
    """Return the plan of the records that are added, or are given an image."""
    number = np.cumsum(is_added) - 1
    mismatch = plan.split_mismatch[is_added[plan.split_mismatch]]
    unknown = plan.unknown_split[is_added[plan.unknown_split]]
    return replace(
        plan,
        keys=plan.keys.take(np.flatnonzero(is_added).astype(np.uint64)),
        table_row=plan.table_row[is_added],
        image=plan.image[kept],
        record=number[plan.record[kept]],
        merged=plan.merged[np.isin(plan.merged[:, 0], plan.image[kept])],
        split_mismatch=number[mismatch],
        unknown_split=number[unknown],
    )
