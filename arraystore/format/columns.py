"""Columns in memory: what they hold, whatever container they are read from or written to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

_PART_ROWS = 1 << 20


class Texts(Protocol):
    """A long list of strings that is turned into Python objects a part at a time."""

    def __len__(self) -> int: ...
    def to_list(self, start: int = 0, stop: int | None = None) -> list[str]:
        """Return the strings from `start` to `stop`."""


@dataclass(frozen=True, slots=True)
class CategoricalColumn:
    """Codes into a list of categories; code -1 is missing."""

    codes: npt.NDArray[np.signedinteger[Any]]
    categories: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.codes)


@dataclass(frozen=True, slots=True)
class NumericColumn:
    """Numbers; a missing float is NaN."""

    values: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class NullableColumn:
    """Integers with a mask that is True where the value is missing."""

    values: npt.NDArray[np.integer[Any]]
    mask: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class StringColumn:
    """Strings, with a mask that is True where the value is missing, or None if none is."""

    values: npt.NDArray[Any]
    mask: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class TextsColumn:
    """A `StringColumn` that is yet to be written, and too large for Python objects."""

    values: Texts
    mask: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.values)


Column: TypeAlias = CategoricalColumn | NumericColumn | NullableColumn | StringColumn
WritableColumn: TypeAlias = Column | TextsColumn


def categorical(codes: npt.ArrayLike, categories: Sequence[str]) -> CategoricalColumn:
    """Make a categorical column as pandas would: sorted categories, none unused, the smallest type of codes.

    Parameters
    ----------
    codes : array_like of int, shape (n,)
        Index into `categories`, -1 where missing.
    categories : sequence of str
        Distinct strings in any order.

    Returns
    -------
    CategoricalColumn
    """
    given = np.asarray(codes)
    # Code -1 counts at the end. In parts, since NumPy makes 64-bit integers of all indices.
    counts = np.zeros(len(categories) + 1, np.int64)
    for part in _parts(given):
        counts += np.bincount(np.where(part < 0, len(categories), part), minlength=len(counts))
    used = np.flatnonzero(counts[:-1])
    names: npt.NDArray[Any] = np.array([categories[index] for index in used.tolist()], dtype=np.object_)
    order = np.argsort(names) if len(names) else np.zeros(0, dtype=np.int64)
    dtype = _code_dtype(len(names))
    # One more entry than categories, so that code -1 finds -1 at the end.
    recode = np.full(len(categories) + 1, -1, dtype=dtype)
    recode[used[order]] = np.arange(len(order), dtype=dtype)
    recoded = np.empty(len(given), dtype)
    for part, out in zip(_parts(given), _parts(recoded), strict=True):
        np.take(recode, part, mode="wrap", out=out)
    return CategoricalColumn(recoded, names[order])


def _parts(values: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    return (values[start : start + _PART_ROWS] for start in range(0, len(values), _PART_ROWS))


def _code_dtype(count: int) -> type[np.signedinteger[Any]]:
    if count <= np.iinfo(np.int8).max:
        return np.int8
    return np.int16 if count <= np.iinfo(np.int16).max else np.int32
