"""Columns of several parts as one: joined by name, of one type, with what one part lacks taken from another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from arraystore.errors import DamagedStoreError, DuplicateKeyError, InvalidRequestError
from arraystore.format.columns import (
    CategoricalColumn,
    NullableColumn,
    NumericColumn,
    StringColumn,
    TextsColumn,
    WritableColumn,
    categorical,
)
from arraystore.sources.archive import column, concatenate

if TYPE_CHECKING:
    from arraystore._core import Strings
    from arraystore.ingestion.stored import StoredPart

Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Kind = Literal["category", "string", "number"]

# Strings pass through Python objects, so that fewer of them are held at a time.
_STRING_ROWS = 65_536
# Beyond it, not every integer is a float.
_EXACT = 2**53


@dataclass(frozen=True, slots=True)
class ColumnPart:
    """One column of one part.

    Parameters
    ----------
    column : WritableColumn
        Its values.
    record : ndarray of int64
        The record that each value belongs to, -1 for none.
    label : str
        What the part is called in messages.
    """

    column: WritableColumn
    record: Indices
    label: str


@dataclass(slots=True)
class _Union:
    """Values that are put together; of two for one record, the first counts."""

    name: str
    filled: Mask
    owner: npt.NDArray[np.int16]
    # Raises, or lets it pass, that two values of a record differ.
    refuse: Callable[[int, int, int], None] | None

    def take(self, number: int, part: ColumnPart, missing: Mask) -> tuple[Indices, Indices]:
        """Return rows of a part and their records: those that had no value so far."""
        rows = np.flatnonzero((part.record >= 0) & ~missing)
        rows = rows[~self.filled[part.record[rows]]]
        record = part.record[rows]
        self.filled[record], self.owner[record] = True, number
        return rows, record

    def compare(self, part: ColumnPart, missing: Mask) -> Iterator[tuple[Indices, Indices]]:
        """Yield rows and records that have a value already, if they must be equal."""
        if self.refuse is not None:
            rows = np.flatnonzero((part.record >= 0) & ~missing)
            rows = rows[self.filled[part.record[rows]]]
            if len(rows):
                yield rows, part.record[rows]

    def check(self, number: int, record: Indices, is_equal: Mask) -> None:
        different = record[~is_equal]
        if len(different) and self.refuse is not None:
            self.refuse(int(different[0]), int(self.owner[different[0]]), number)


def unite_columns(
    name: str, parts: Sequence[ColumnPart], n: int, *, key_of: Callable[[int], str] | None = None
) -> WritableColumn:
    """Join the values of one column.

    Categories become one sorted list, integers one type that holds them all, whole numbers beside floats become floats,
    categories beside texts become texts. What no part has is missing.

    Parameters
    ----------
    name : str
        Name of the column, for messages.
    parts : sequence of ColumnPart
        Its values, the part that counts first.
    n : int
        Number of records of the result.
    key_of : callable, optional
        Gives the key of a record, for messages. If given, two parts must not have different values for one record; else
        that of the first part counts.

    Returns
    -------
    WritableColumn

    Raises
    ------
    InvalidRequestError
        If the parts have values of different types.
    DuplicateKeyError
        If two parts have different values for one record, and `key_of` is given.
    """

    def refuse(record: int, one: int, other: int) -> None:
        if key_of is None:
            return
        raise DuplicateKeyError(
            f"column {name!r} has different values for {key_of(record)!r} in {parts[one].label} and in "
            f"{parts[other].label}: correct one of the two tables, and make that store again",
            "column-conflict",
        )

    kinds = [_kind_of(part.column) for part in parts]
    union = _Union(name, np.zeros(n, bool), np.zeros(n, np.int16), None if key_of is None else refuse)
    if "number" in kinds and set(kinds) != {"number"}:
        at = next(index for index, kind in enumerate(kinds) if (kind == "number") != (kinds[0] == "number"))
        words = {"number": "numbers", "category": "text", "string": "text"}
        raise InvalidRequestError(
            f"column {name!r} holds {words[kinds[0]]} in {parts[0].label} and {words[kinds[at]]} in {parts[at].label}: "
            "make it of one kind in their tables, and make one of the two stores again",
            "column-type",
        )
    if set(kinds) == {"category"}:
        return _categories(union, parts)
    return _numbers(union, parts) if "number" in kinds else _strings(union, parts)


def column_of(part: StoredPart, name: str) -> WritableColumn:
    """Read a column of a store, or of the rows that are taken of it.

    Parameters
    ----------
    part : StoredPart
        The store.
    name : str
        Name of the column.

    Returns
    -------
    WritableColumn
    """
    read = part.layout.read_column(name)
    if part.is_whole:
        return read
    return unite_columns(name, [ColumnPart(read, part.record, str(part.path))], len(part.rows))


def _kind_of(of: WritableColumn) -> Kind:
    if isinstance(of, CategoricalColumn):
        return "category"
    return "number" if isinstance(of, NumericColumn | NullableColumn) else "string"


def _categories(union: _Union, parts: Sequence[ColumnPart]) -> CategoricalColumn:
    position: dict[str, int] = {}
    codes = np.full(len(union.filled), -1, np.int64)
    for number, part in enumerate(parts):
        mapped = _checked_codes(union.name, part)
        recode = np.array([*(position.setdefault(name, len(position)) for name in _names(part)), -1], np.int64)
        mapped = recode[mapped]
        for rows, record in union.compare(part, mapped < 0):
            union.check(number, record, codes[record] == mapped[rows])
        rows, record = union.take(number, part, mapped < 0)
        codes[record] = mapped[rows]
    return categorical(codes, list(position))


def _names(part: ColumnPart) -> list[str]:
    assert isinstance(part.column, CategoricalColumn)
    return [str(name) for name in part.column.categories.tolist()]


def _checked_codes(name: str, part: ColumnPart) -> npt.NDArray[Any]:
    assert isinstance(part.column, CategoricalColumn)
    codes, count = part.column.codes, len(part.column.categories)
    if len(codes) and (codes.min() < -1 or codes.max() >= count):
        raise DamagedStoreError(f"column {name!r} of {part.label} has codes beyond its {count} categories")
    return codes


def _numbers(union: _Union, parts: Sequence[ColumnPart]) -> WritableColumn:
    values = [_values_and_missing(part.column) for part in parts]
    dtype = _common_dtype(union.name, parts, [each for each, _ in values])
    united = np.zeros(len(union.filled), dtype)
    for number, (part, (given, missing)) in enumerate(zip(parts, values, strict=True)):
        for rows, record in union.compare(part, missing):
            union.check(number, record, united[record] == given[rows].astype(dtype))
        rows, record = union.take(number, part, missing)
        united[record] = given[rows]
    if union.filled.all():
        return NumericColumn(united)
    if dtype.kind == "f":
        united[~union.filled] = np.nan
        return NumericColumn(united)
    return NullableColumn(united.astype(np.uint8) if dtype.kind == "b" else united, ~union.filled)


def _values_and_missing(of: WritableColumn) -> tuple[npt.NDArray[Any], Mask]:
    if isinstance(of, NullableColumn):
        return of.values, of.mask
    assert isinstance(of, NumericColumn)
    return of.values, np.isnan(of.values) if of.values.dtype.kind == "f" else np.zeros(len(of.values), bool)


def _common_dtype(name: str, parts: Sequence[ColumnPart], values: Sequence[npt.NDArray[Any]]) -> np.dtype[Any]:
    integers = [each for each in values if each.dtype.kind != "f"]
    if len(integers) == len(values):
        return np.result_type(*(each.dtype for each in values))
    for part, each in zip(parts, values, strict=True):
        if each.dtype.kind != "f" and len(each) and max(abs(int(each.min())), abs(int(each.max()))) > _EXACT:
            raise InvalidRequestError(
                f"column {name!r} holds fractions in one store and integers beyond 2**53 in {part.label}, which are no "
                "floats: make it of one kind in their tables",
                "column-type",
            )
    floats = [each.dtype for each in values if each.dtype.kind == "f"]
    return np.dtype(np.float64) if integers else np.result_type(*floats)


def _strings(union: _Union, parts: Sequence[ColumnPart]) -> TextsColumn:
    from arraystore import _core

    # The last one stands for all that are missing.
    all_texts = _core.Strings.from_list([""])
    ends = [0]
    given: list[Mask] = []
    for part in reversed(parts):
        texts, missing = _texts_and_missing(union.name, part)
        all_texts = concatenate(texts, all_texts)
        given.insert(0, missing)
        ends.insert(0, len(texts))
    starts = np.cumsum([0, *ends[:-1]])
    place = np.full(len(union.filled), len(all_texts) - 1, np.int64)
    for number, (part, missing) in enumerate(zip(parts, given, strict=True)):
        for rows, record in union.compare(part, missing):
            one, other = _taken(all_texts, place[record]), _taken(all_texts, starts[number] + rows)
            union.check(number, record, _equal(one, other))
        rows, record = union.take(number, part, missing)
        place[record] = starts[number] + rows
    return TextsColumn(_taken(all_texts, place), None if union.filled.all() else ~union.filled)


def _taken(texts: Strings, indices: Indices) -> Strings:
    return texts.take(indices.astype(np.uint64))


def _equal(one: Strings, other: Strings) -> Mask:
    """Compare two lists of equal length, text by text."""
    lengths = [np.diff(column(each.offsets, np.uint64)) for each in (one, other)]
    sums = [column(each.crc32c(), np.uint32) for each in (one, other)]
    is_equal: Mask = (lengths[0] == lengths[1]) & (sums[0] == sums[1])
    if is_equal.all() and not np.array_equal(column(one.data, np.uint8), column(other.data, np.uint8)):
        is_equal = np.array([one[index] == other[index] for index in range(len(one))], bool)
    return is_equal


def _texts_and_missing(name: str, part: ColumnPart) -> tuple[Strings, Mask]:
    from arraystore import _core

    of = part.column
    if isinstance(of, CategoricalColumn):
        codes = _checked_codes(name, part)
        names = _core.Strings.from_list([*_names(part), ""])
        return _taken(names, np.where(codes < 0, len(names) - 1, codes)), codes < 0
    assert isinstance(of, StringColumn | TextsColumn)
    mask = np.zeros(len(of), bool) if of.mask is None else of.mask
    return as_strings(of), mask


def present(of: WritableColumn) -> Mask:
    """Tell of each value of a column whether it is there."""
    if isinstance(of, CategoricalColumn):
        return np.asarray(of.codes >= 0)
    if isinstance(of, NumericColumn | NullableColumn):
        return ~_values_and_missing(of)[1]
    return np.ones(len(of), bool) if of.mask is None else ~of.mask


def as_strings(of: StringColumn | TextsColumn) -> Strings:
    """Return the texts of a column as the core holds them; those that are missing are empty."""
    from arraystore import _core

    if isinstance(of.values, _core.Strings):
        return of.values
    data, lengths = [np.zeros(0, np.uint8)], [np.zeros(1, np.uint64)]
    for start in range(0, len(of.values), _STRING_ROWS):
        stop = min(start + _STRING_ROWS, len(of.values))
        part = of.values[start:stop].tolist() if isinstance(of.values, np.ndarray) else of.values.to_list(start, stop)
        if of.mask is not None:
            part = ["" if is_missing else text for text, is_missing in zip(part, of.mask[start:stop], strict=True)]
        texts = _core.Strings.from_list(part)
        data.append(column(texts.data, np.uint8))
        lengths.append(np.diff(column(texts.offsets, np.uint64)))
    return _core.Strings(np.concatenate(data), np.cumsum(np.concatenate(lengths), dtype=np.uint64))
