"""Finished stores as content: their bytes are copied and compared with their checksums, and never judged again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from arraystore import _core
from arraystore.errors import DuplicateKeyError, InvalidRequestError
from arraystore.format.arrays import KEY_DTYPES, field_dtypes
from arraystore.format.base import KEY, Layout
from arraystore.format.items import open_items
from arraystore.format.spec import FieldSpec, Status
from arraystore.ingestion.content import FieldContent
from arraystore.ingestion.progress import Progress
from arraystore.sources.archive import column

if TYPE_CHECKING:
    from arraystore._core import ArrayField, Extents, Field, Strings

Indices = npt.NDArray[np.int64]

_WORDS = {"jpeg": "images", "text": "texts", "array": "arrays"}


class StoredPart:
    """A store, or some rows of it, that becomes a part of another.

    Parameters
    ----------
    layout : Layout
        The store.
    rows : ndarray of int64, optional
        Which rows, and in what order; all of them if not given.

    Raises
    ------
    InvalidRequestError
        If a row is named twice: keys are unique.
    """

    def __init__(self, layout: Layout, rows: Indices | None = None) -> None:
        self.layout = layout
        self.spec = layout.spec
        self.rows: Indices = np.arange(self.spec.n) if rows is None else rows
        self.is_whole = rows is None
        # The record of the result that each row becomes, -1 for none; `merge` and `append` change it.
        self.record: Indices = np.full(self.spec.n, -1, np.int64)
        self.record[self.rows] = np.arange(len(self.rows))
        if rows is not None and int((self.record >= 0).sum()) < len(rows):
            repeated = int(np.flatnonzero(np.bincount(rows, minlength=self.spec.n) > 1)[0])
            raise InvalidRequestError(
                f"{layout.path}: record {repeated} ({self.all_keys.get(repeated)}) is selected twice: keys are unique "
                "in a store, select each record once"
            )

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.layout.path

    @cached_property
    def all_keys(self) -> _core.Keys:
        """Keys of the store."""
        return _core.Keys(self.spec.n, **{array: self.layout.pieces(f"{KEY}/{array}") for array in KEY_DTYPES})

    @cached_property
    def keys(self) -> Strings:
        """Keys of the rows, in their order."""
        return self.all_keys.take(np.ascontiguousarray(self.rows, np.int64))

    def has_field(self, name: str) -> bool:
        """Tell whether it has a field of this name."""
        return any(each.name == name for each in self.spec.fields)

    def field(self, name: str) -> Field:
        """Return a field of images or of texts, which it has."""
        pieces: dict[str, Any] = {
            array: self.layout.pieces(f"{name}/{array}") for array in field_dtypes(self.spec.field(name).kind)
        }
        return _core.Field(name, self.spec.n, keys=self.all_keys, **pieces)

    def array_field(self, name: str) -> ArrayField:
        """Return a field of arrays, which it has."""
        return open_items(self.layout, self.spec.field(name), self.all_keys)

    def name_of(self, row: int) -> str:
        """Return what to call a row in a message."""
        return f"row {row} of {self.path}"


@dataclass(frozen=True, slots=True)
class _Columns:
    """The arrays of a field, and what the rows of it become."""

    field: Field
    nbytes: npt.NDArray[np.uint32]
    offset: npt.NDArray[np.uint64]

    @classmethod
    def of(cls, part: StoredPart, name: str) -> _Columns:
        field = part.field(name)
        return cls(field, column(field.nbytes(), np.uint32), column(field.offsets(), np.uint64))

    def extents(self, rows: Indices) -> Extents:
        return _core.Extents.of_field(self.field, rows.astype(np.uint64))


def known_of_images(field: Field, n: int) -> dict[str, npt.NDArray[Any]]:
    """Return what a store has found out of its images: status, height and width of all rows."""
    sizes = column(field.sizes(np.arange(n, dtype=np.int64), threads=1), np.uint16).reshape(-1, 2)
    return {"status": column(field.status(), np.uint8), "height": sizes[:, 0], "width": sizes[:, 1]}


def gather_field(
    spec: FieldSpec, parts: Sequence[StoredPart], n: int, key_of: Callable[[int], str], *, threads: int, shown: Progress
) -> FieldContent:
    """Gather the records of one field from all parts, each from the first that has it.

    Bytes are in the order of the parts, and in each in the order in which they lie, so that all is read from its
    beginning to its end.

    Parameters
    ----------
    spec : FieldSpec
        The field.
    parts : sequence of StoredPart
        The stores.
    n : int
        Number of records of the result.
    key_of : callable
        Gives the key of a record, for messages.
    threads : int
        Threads that compare what two parts have.
    shown : Progress
        Where progress is shown.

    Returns
    -------
    FieldContent

    Raises
    ------
    DuplicateKeyError
        If two parts have different bytes for one record.
    DamagedStoreError
        If what is compared is not as it was written.
    """
    owner, row_of = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    known = _unknown(n) if spec.kind == "jpeg" else {}
    columns: dict[int, _Columns] = {}
    taken: dict[int, Indices] = {}
    for number, part in enumerate(parts):
        if not part.has_field(spec.name):
            continue
        columns[number] = _Columns.of(part, spec.name)
        rows = np.flatnonzero((columns[number].nbytes > 0) & (part.record >= 0))
        is_second = owner[part.record[rows]] >= 0
        _compare(spec, parts, columns, (owner, row_of), (number, rows[is_second]), key_of, threads=threads, shown=shown)
        first = rows[~is_second]
        if known:
            _note(known, known_of_images(columns[number].field, part.spec.n), part.record, first, rows[is_second])
        owner[part.record[first]], row_of[part.record[first]] = number, first
        taken[number] = first[np.argsort(columns[number].offset[first], kind="stable")]
    return FieldContent(
        spec,
        _core.Extents.chain([columns[number].extents(rows) for number, rows in taken.items()]),
        np.concatenate([columns[number].nbytes[rows] for number, rows in taken.items()]),
        np.concatenate([parts[number].record[rows] for number, rows in taken.items()]),
        known=known,
    )


def _unknown(n: int) -> dict[str, npt.NDArray[Any]]:
    zeros = {name: np.zeros(n, np.uint16) for name in ("height", "width")}
    return {"status": np.full(n, Status.MISSING, np.uint8), **zeros}


def _note(
    known: dict[str, npt.NDArray[Any]],
    of_part: dict[str, npt.NDArray[Any]],
    record: Indices,
    first: Indices,
    second: Indices,
) -> None:
    """Carry over what a part has found out of its images."""
    for name, values in of_part.items():
        known[name][record[first]] = values[first]
    status, of_status = known["status"], of_part["status"]
    # The same bytes: what a closer look has found out counts.
    closer = second[(status[record[second]] == Status.SOUND) & (of_status[second] != Status.SOUND)]
    status[record[closer]] = of_status[closer]
    # Why there are no bytes, where nobody has any.
    empty = np.flatnonzero((record >= 0) & (of_status != Status.MISSING))
    empty = empty[status[record[empty]] == Status.MISSING]
    status[record[empty]] = of_status[empty]


def _compare(
    spec: FieldSpec,
    parts: Sequence[StoredPart],
    columns: Mapping[int, _Columns],
    before: tuple[Indices, Indices],
    now: tuple[int, Indices],
    key_of: Callable[[int], str],
    *,
    threads: int,
    shown: Progress,
) -> None:
    """Compare the bytes of rows with those that an earlier part has for the same records."""
    owner, row_of = before
    number, rows = now
    record = parts[number].record[rows]
    for other in np.unique(owner[record]).tolist():
        mine = rows[owner[record] == other]
        theirs = row_of[parts[number].record[mine]]
        different = np.flatnonzero(columns[number].nbytes[mine] != columns[other].nbytes[theirs])
        if not len(different):
            with shown.phase(f"compare {_WORDS[spec.kind]}", total=len(mine), unit=_WORDS[spec.kind]) as advance:
                found = _core.differing(
                    columns[other].extents(theirs), columns[number].extents(mine), threads=threads, progress=advance
                )
            different = column(found, np.uint64).astype(np.int64)
        if len(different):
            at = int(different[0])
            raise conflict(
                spec,
                key_of(int(parts[number].record[mine[at]])),
                parts[other].name_of(int(theirs[at])),
                parts[number].name_of(int(mine[at])),
            )


def conflict(spec: FieldSpec, key: str, one: str, other: str) -> DuplicateKeyError:
    """Return the error of two parts that have different bytes for one record."""
    return DuplicateKeyError(
        f"two different {_WORDS[spec.kind]} ({spec.name}) have the key {key!r}: {one} and {other}; leave one of the "
        "two out, by an export of the other records"
    )
