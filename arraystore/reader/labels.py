"""Labels of a column as integer codes that are the same in every view of a store; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from arraystore.errors import InvalidRequestError
from arraystore.format.columns import CategoricalColumn
from arraystore.reader.arguments import choice
from arraystore.reader.column import StoredColumn

__all__ = ["LabelOrder", "Labels", "make_labels"]

LabelOrder: TypeAlias = Literal["sorted", "pandas<3"]
_ORDERS = ("sorted", "pandas<3")

# pandas parses a table in blocks of the largest power of two of rows that is below 2**20 / columns: this one for 16 to
# 31 columns. That of BIOSCAN-5M has 23.
_BLOCK_NROWS = 32_768


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Integer codes of the labels of records, and what they stand for.

    Attributes
    ----------
    codes : ndarray of int8, int16 or int32, shape (n,)
        For each record the position of its label in `names`, -1 if it has none. The type is that of pandas.
    names : list of str
        The labels that occur in the whole store, also where `codes` are those of a view.
    """

    codes: npt.NDArray[np.signedinteger[Any]]
    names: list[str]

    def __repr__(self) -> str:
        return f"Labels({len(self.codes):,} codes of {len(self.names):,} names)"


def make_labels(name: str, stored: StoredColumn, *, order: LabelOrder = "sorted") -> Labels:
    """Give each label of a column a number.

    Parameters
    ----------
    name : str
        Of the column, for messages.
    stored : CategoricalColumn
        As it lies on disk. Its categories may be in any order, and some may not occur.
    order : {"sorted", "pandas<3"}
        How the labels are numbered.

    Returns
    -------
    Labels
        Of all rows.

    Raises
    ------
    InvalidRequestError
        If the column is not categorical, or the order is unknown.

    Examples
    --------
    >>> column = CategoricalColumn(np.array([1, -1, 0], np.int8), np.array(["Hemiptera", "Diptera"], object))
    >>> labels = make_labels("order", column)
    >>> labels.codes.tolist(), labels.names
    ([0, -1, 1], ['Diptera', 'Hemiptera'])
    """
    choice("order", order, _ORDERS)
    if not isinstance(stored, CategoricalColumn):
        raise InvalidRequestError(f"column {name!r} is not categorical: there are labels of categories only")
    first_row = _first_rows(stored.codes, len(stored.categories))
    used = np.flatnonzero(first_row < len(stored))
    names = np.array([*stored.categories[used].tolist(), None], object)[:-1]
    ascending = np.argsort(names, kind="stable")
    if order == "pandas<3":
        # Stable: within a block the names stay sorted.
        block = first_row[used[ascending]] // _BLOCK_NROWS
        ascending = ascending[np.argsort(block, kind="stable")]
    # One more entry than categories, so that code -1 finds -1 at the end.
    recode = np.full(len(stored.categories) + 1, -1, _code_dtype(len(used)))
    recode[used[ascending]] = np.arange(len(used))
    return Labels(recode[stored.codes], names[ascending].tolist())


def _first_rows(codes: npt.NDArray[np.signedinteger[Any]], count: int) -> npt.NDArray[np.int64]:
    """Return the first row of each category; the number of rows for one that does not occur."""
    first = np.full(count + 1, len(codes), np.int64)
    # Of several values for one place NumPy keeps the last: backwards, that of the first row.
    first[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
    return first[:count]


def _code_dtype(count: int) -> type[np.signedinteger[Any]]:
    # As pandas: 127 categories would still fit into int8, but get int16.
    if count < np.iinfo(np.int8).max:
        return np.int8
    return np.int16 if count < np.iinfo(np.int16).max else np.int32
