"""Columns in memory: what they hold, whatever container they are read from or written to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt


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
    given = np.asarray(codes, dtype=np.int64)
    used = np.flatnonzero(np.bincount(given[given >= 0], minlength=len(categories)))
    names: npt.NDArray[Any] = np.array([categories[index] for index in used.tolist()], dtype=np.object_)
    order = np.argsort(names) if len(names) else np.zeros(0, dtype=np.int64)
    dtype = _code_dtype(len(names))
    # One more entry than categories, so that code -1 finds -1 at the end.
    recode = np.full(len(categories) + 1, -1, dtype=dtype)
    recode[used[order]] = np.arange(len(order), dtype=dtype)
    return CategoricalColumn(recode[given], names[order])


def _code_dtype(count: int) -> type[np.signedinteger[Any]]:
    if count <= np.iinfo(np.int8).max:
        return np.int8
    return np.int16 if count <= np.iinfo(np.int16).max else np.int32
