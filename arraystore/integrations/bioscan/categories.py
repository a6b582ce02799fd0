"""Labels as integer codes, numbered as pandas numbers categories."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from arraystore.errors import UnknownKeyError
from arraystore.reader.column import Mask
from arraystore.reader.labels import LabelOrder

__all__ = ["MISSING_TEXTS", "Categories", "Codes", "installed_order"]

Codes: TypeAlias = npt.NDArray[np.signedinteger[Any]]

# What pandas.read_csv takes for a missing value, even if it is the text of a cell.
MISSING_TEXTS = frozenset((
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
))  # fmt: skip


def installed_order() -> LabelOrder:
    """Return how the installed pandas numbers the categories of a table; sorted if there is none."""
    try:
        major = int(metadata.version("pandas").split(".")[0])
    except (metadata.PackageNotFoundError, ValueError):
        return "sorted"
    return "pandas<3" if major < 3 else "sorted"


@dataclass(frozen=True, eq=False)
class Categories:
    """A label for each row of a store.

    Attributes
    ----------
    codes : ndarray of int8, int16 or int32, shape (n,)
        For each row the position of its label in `names`, -1 if it has none.
    names : list of str
        The labels. After `of_pandas` and `in_order` each occurs once, and none stands for a missing value.
    """

    codes: Codes
    names: list[str]

    @classmethod
    def of_pandas(cls, codes: Codes, names: list[str]) -> Categories:
        """Return what pandas would read: without labels such as ``"NA"``, and in its integer type."""
        if MISSING_TEXTS.isdisjoint(names):
            return cls(codes.astype(_code_dtype(len(names)), copy=False), names)
        return cls(codes, names)._renamed([name for name in names if name not in MISSING_TEXTS])

    @cached_property
    def texts(self) -> npt.NDArray[np.object_]:
        """The labels, and NaN at the end, which code -1 finds."""
        return np.array([*self.names, np.nan], object)

    @cached_property
    def code_of(self) -> dict[str, int]:
        """The code of each label."""
        return {name: code for code, name in enumerate(self.names)}

    @property
    def is_known(self) -> Mask:
        """Which rows have a label: ndarray of bool, shape (n,)."""
        return np.asarray(self.codes >= 0)

    def at(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.object_]:
        """Return the labels of rows as objects, NaN where there is none."""
        return np.asarray(self.texts[self.codes[rows]])

    def code(self, label: str, column: str) -> int:
        """Return the code of a label.

        Raises
        ------
        UnknownKeyError
            If no record has it; a `KeyError`.
        """
        if label not in self.code_of:
            raise UnknownKeyError(f"column {column!r} has no label {label!r}", "unknown-label")
        return self.code_of[label]

    def isin(self, names: Iterable[str]) -> Mask:
        """Return which rows have one of these labels: ndarray of bool, shape (n,)."""
        wanted = set(names)
        return np.asarray(np.array([*(name in wanted for name in self.names), False], np.bool_)[self.codes])

    def mapped(self, rename: Callable[[str], str]) -> Categories:
        """Return the same rows with other labels, of which several may be alike."""
        return Categories(self.codes, [rename(name) for name in self.names])

    def overlaid(self, mask: Mask, other: Categories | str) -> Categories:
        """Return these labels, and those of another where a mask of rows is true."""
        if isinstance(other, str):
            other = Categories(np.zeros(len(self.codes), np.int8), [other])
        shifted = np.where(other.codes < 0, -1, other.codes.astype(np.int32) + len(self.names))
        return Categories(np.where(mask, shifted, self.codes).astype(np.int32), [*self.names, *other.names])

    def in_order(self, rows: npt.NDArray[np.int64]) -> Categories:
        """Return the labels that occur in some rows, sorted; all other rows have none."""
        codes = np.full(len(self.codes), -1, np.int32)
        codes[rows] = self.codes[rows]
        occurs = np.bincount(codes[codes >= 0], minlength=len(self.names)).astype(bool).tolist()
        used = {name for name, used in zip(self.names, occurs, strict=True) if used}
        return Categories(codes, self.names)._renamed(sorted(used - MISSING_TEXTS))

    def _renamed(self, names: list[str]) -> Categories:
        position = {name: code for code, name in enumerate(names)}
        recode = np.array([*(position.get(name, -1) for name in self.names), -1], _code_dtype(len(names)))
        return Categories(recode[self.codes], names)


def _code_dtype(count: int) -> type[np.signedinteger[Any]]:
    # As pandas: 127 categories would still fit into int8, but get int16.
    if count < np.iinfo(np.int8).max:
        return np.int8
    return np.int16 if count < np.iinfo(np.int16).max else np.int32
