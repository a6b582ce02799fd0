"""Items of fields of arrays, gathered from finished stores: each is kept once, whoever refers to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from arraystore import _core
from arraystore.errors import DamagedStoreError
from arraystore.format.arrays import NO_ITEM
from arraystore.format.items import gather_items, holds_samples
from arraystore.format.spec import FieldSpec, Status
from arraystore.ingestion.content import ItemsContent
from arraystore.ingestion.progress import Progress
from arraystore.ingestion.stored import Indices, StoredPart, conflict
from arraystore.sources.archive import column

if TYPE_CHECKING:
    from arraystore._core import Extents

# Bytes of items that are decompressed at a time.
_BATCH_NBYTES = 1 << 24


@dataclass(frozen=True, slots=True)
class Gathering:
    """How items are gathered.

    Parameters
    ----------
    key_of : callable
        Gives the key of a record of the result, for messages.
    directory : Path
        Where items may be decompressed to.
    has_codecs : bool
        Whether items may be compressed where they go.
    threads : int
        Threads to use.
    shown : Progress
        Where progress is shown.
    shard_nbytes : int, optional
        Wanted size of a shard; see `ItemsContent`.
    """

    key_of: Callable[[int], str]
    directory: Path
    has_codecs: bool
    threads: int
    shown: Progress
    shard_nbytes: int | None = None


def gather_array_field(
    spec: FieldSpec, parts: Sequence[StoredPart], n: int, gathering: Gathering, *, is_main: bool
) -> ItemsContent:
    """Gather the items of one field from all parts: those that records refer to, in the order of the records.

    A record has the item of the first part that has one with samples for it. Items of two parts that belong to one
    record, and so are the same, become one, for all records that have either; but for the main field, of which each
    record has an item of its own, so do all items of two parts with the same bytes.

    Parameters
    ----------
    spec : FieldSpec
        The field; its codec is kept if it can be.
    parts : sequence of StoredPart
        The stores.
    n : int
        Number of records of the result.
    gathering : Gathering
        How.
    is_main : bool
        Whether it is the main field.

    Returns
    -------
    ItemsContent

    Raises
    ------
    DuplicateKeyError
        If two parts have different samples for one record.
    DamagedStoreError
        If what is compared or decompressed is not as it was written.
    """
    holders: list[_Holder] = []
    for number, part in enumerate(parts):
        if part.has_field(spec.name):
            start = holders[-1].stop if holders else 0
            holders.append(_Holder(part, part.spec.field(spec.name), number, start, gathering))
    union = _Union(spec, holders, n, gathering, shares=not is_main)
    for each in holders:
        union.add(each)
    for each in holders:
        union.add_without_samples(each)
    return union.content()


class _Holder:
    """A part that has the field; its items are numbered behind those of the parts before it."""

    def __init__(self, part: StoredPart, spec: FieldSpec, number: int, start: int, gathering: Gathering) -> None:
        self.part, self.spec, self.start = part, spec, start
        self._number, self._gathering = number, gathering
        self.core = part.array_field(spec.name)
        self.status = column(self.core.status(), np.uint8)
        self.stop = start + len(self.status)
        row = column(self.core.row(), np.uint32)
        # Rows that become records, and their items.
        self.rows = np.flatnonzero((part.record >= 0) & (row != NO_ITEM))
        within = row[self.rows].astype(np.int64)
        self.items = within + start
        if len(beyond := np.flatnonzero(within >= len(self.status))):
            at = int(beyond[0])
            raise DamagedStoreError(
                f"{part.name_of(int(self.rows[at]))}, {spec.name}: its item is {within[at]}, but there are "
                f"{len(self.status)}: run `arraystore verify`",
                "contradiction",
            )

    @property
    def crc32c(self) -> npt.NDArray[np.uint32]:
        return column(self.core.checksums(), np.uint32)

    @cached_property
    def row_of(self) -> Indices:
        """The first row that has each item, -1 if none has."""
        rows = np.full(len(self.status), -1, np.int64)
        rows[self.items[::-1] - self.start] = self.rows[::-1]
        return rows

    def extents(self, items: Indices) -> Extents:
        """Return where items are, each of which belongs to a record."""
        within = items - self.start
        if self.spec.codec == "blosc":
            nbytes = self.spec.item_nbytes
            return _core.Extents.in_file(
                str(self._decompressed), (within * nbytes).astype(np.uint64), np.full(len(within), nbytes, np.uint64)
            )
        return _core.Extents.of_items(self.core, within.astype(np.uint64), self.row_of[within].astype(np.uint64))

    @cached_property
    def _decompressed(self) -> Path:
        """A file of all items that records have, compared with their checksums; what else there may be is a hole."""
        path = self._gathering.directory / f"{self.spec.name}.{self._number}.decompressed"
        nbytes = self.spec.item_nbytes
        wanted = np.flatnonzero((self.row_of >= 0) & holds_samples(self.status))
        batch = max(_BATCH_NBYTES // nbytes, 1)
        memory = np.empty(batch * nbytes, np.uint8)
        shown = self._gathering.shown.phase(f"decompress {self.spec.name}", total=len(wanted), unit="items")
        with path.open("wb") as file, shown as advance:
            file.truncate(len(self.status) * nbytes)
            for first in range(0, len(wanted), batch):
                items = wanted[first : first + batch]
                out = memory[: len(items) * nbytes]
                gather_items(
                    self.spec,
                    self.core,
                    self.part.all_keys,
                    self.row_of[items],
                    out,
                    verify=True,
                    threads=self._gathering.threads,
                )
                for item, samples in zip(items.tolist(), out.reshape(-1, nbytes), strict=True):
                    file.seek(item * nbytes)
                    file.write(samples.data)
                advance(first + len(items), (first + len(items)) * nbytes)
        return path


class _Union:
    """The items that records are given, by their numbers among those of all parts."""

    def __init__(
        self, spec: FieldSpec, holders: Sequence[_Holder], n: int, gathering: Gathering, *, shares: bool
    ) -> None:
        self._spec, self._holders, self._gathering, self._shares = spec, holders, gathering, shares
        self._item: Indices = np.full(n, -1, np.int64)
        # Whose row each record has it of, for messages.
        self._owner: npt.NDArray[np.int16] = np.full(n, -1, np.int16)
        self._row: Indices = np.full(n, -1, np.int64)
        # What each item is, if it is the same as one of an earlier part.
        self._same: Indices = np.arange(holders[-1].stop)
        self._status = _joined([each.status for each in holders], np.uint8)

    def add(self, holder: _Holder) -> None:
        """Give records the items of a part; compare those of records that have one."""
        rows, items = self._of(holder, with_samples=True)
        record = holder.part.record[rows]
        is_second = self._item[record] >= 0
        second, kept = items[is_second], self._item[record[is_second]]
        self._refuse_different(holder, rows[is_second], second, kept)
        self._same[second] = kept
        self._note_status(second, kept)
        if self._shares and holder is not self._holders[0]:
            self._share(holder, np.unique(items))
        self._give(holder, rows[~is_second], items[~is_second])

    def add_without_samples(self, holder: _Holder) -> None:
        """Give records that have no item yet one that says why there are no samples."""
        rows, items = self._of(holder, with_samples=False)
        kept = self._item[holder.part.record[rows]]
        is_free = kept < 0
        is_second = ~is_free
        is_second[is_second] = ~holds_samples(self._status[kept[is_second]])
        self._same[items[is_second]] = kept[is_second]
        self._give(holder, rows[is_free], items[is_free])

    def content(self) -> ItemsContent:
        """Return the items in the order of the first records that have them."""
        row = np.full(len(self._item), NO_ITEM, np.uint32)
        records = np.flatnonzero(self._item >= 0)
        items, first, at = np.unique(self._item[records], return_index=True, return_inverse=True)
        order = np.argsort(first)
        rank = np.empty(len(order), np.uint32)
        rank[order] = np.arange(len(order), dtype=np.uint32)
        row[records] = rank[at]
        spec = self._spec if self._gathering.has_codecs else replace(self._spec, codec=None)
        return ItemsContent(
            spec,
            self._extents(items[order]),
            row,
            is_tiff=False,
            shard_nbytes=self._gathering.shard_nbytes,
            status=self._status[items[order]],
        )

    def _of(self, holder: _Holder, *, with_samples: bool) -> tuple[Indices, Indices]:
        is_taken = holds_samples(holder.status[holder.items - holder.start]) == with_samples
        return holder.rows[is_taken], holder.items[is_taken]

    def _give(self, holder: _Holder, rows: Indices, items: Indices) -> None:
        record = holder.part.record[rows]
        self._item[record], self._row[record] = self._same[items], rows
        self._owner[record] = self._holders.index(holder)

    def _extents(self, items: Indices) -> Extents:
        order = np.argsort(items, kind="stable")
        ordered = items[order]
        tables = []
        for each in self._holders:
            low, high = np.searchsorted(ordered, [each.start, each.stop])
            tables.append(each.extents(ordered[low:high]))
        place = np.empty(len(items), np.uint64)
        place[order] = np.arange(len(items), dtype=np.uint64)
        return _core.Extents.chain(tables).take(place)

    def _refuse_different(self, holder: _Holder, rows: Indices, second: Indices, kept: Indices) -> None:
        if not len(second):
            return
        # Nine records may share an item: it is compared once.
        _, at = np.unique(np.stack([second, kept]), axis=1, return_index=True)
        different = at[self._differing(second[at], kept[at])]
        if not len(different):
            return
        first = int(different.min())
        record = int(holder.part.record[rows[first]])
        other = self._holders[self._owner[record]]
        raise conflict(
            self._spec,
            self._gathering.key_of(record),
            other.part.name_of(int(self._row[record])),
            holder.part.name_of(int(rows[first])),
        )

    def _differing(self, one: Indices, other: Indices) -> Indices:
        """Return the positions at which items differ. All bytes are compared, and with their checksums too."""
        shown, words = self._gathering.shown, f"compare {self._spec.name}"
        with shown.phase(words, total=len(one), unit="items") as advance:
            found = _core.differing(
                self._extents(one), self._extents(other), threads=self._gathering.threads, progress=advance
            )
        return column(found, np.uint64).astype(np.int64)

    def _share(self, holder: _Holder, items: Indices) -> None:
        """Find those that records of earlier parts have too, by their checksums and then by their bytes."""
        crc32c = _joined([each.crc32c for each in self._holders], np.uint32)
        items = items[self._same[items] == items]
        known = np.unique(self._item[self._item >= 0])
        known = known[known < holder.start]
        known = known[np.argsort(crc32c[known], kind="stable")]
        at = np.searchsorted(crc32c[known], crc32c[items])
        is_like = at < len(known)
        is_like[is_like] = crc32c[known[at[is_like]]] == crc32c[items[is_like]]
        mine, theirs = items[is_like], known[at[is_like]]
        if len(mine):
            is_same = np.ones(len(mine), bool)
            is_same[self._differing(mine, theirs)] = False
            self._same[mine[is_same]] = theirs[is_same]
            self._note_status(mine[is_same], theirs[is_same])

    def _note_status(self, items: Indices, kept: Indices) -> None:
        # The same bytes: what a closer look has found out counts.
        closer = (self._status[kept] == Status.SOUND) & (self._status[items] != Status.SOUND)
        self._status[kept[closer]] = self._status[items[closer]]


def _joined(arrays: Iterable[npt.NDArray[Any]], dtype: type) -> npt.NDArray[Any]:
    return np.concatenate([*arrays, np.zeros(0, dtype)])
