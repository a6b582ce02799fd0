"""What stands between the brackets: a row, a key, a slice, a list, an array or a mask, as rows; pure."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from arraystore.errors import InvalidRequestError, UnknownKeyError

__all__ = ["FindKeys", "Index", "Many", "One", "Rows", "batch_rows", "is_single", "single_row"]

Rows: TypeAlias = npt.NDArray[np.int64]
# One row or key, or many: slice, list, array of rows, of keys, or a boolean mask.
Index: TypeAlias = int | np.integer[Any] | str | slice | Sequence[int] | Sequence[str] | npt.ArrayLike
# The same for overloads, where a str must not pass as a sequence of str.
One: TypeAlias = int | np.integer[Any] | str
Many: TypeAlias = slice | Sequence[int] | list[str] | tuple[str, ...] | npt.NDArray[Any]
# Rows of keys, -1 for those that are unknown.
FindKeys: TypeAlias = Callable[[Sequence[str]], Rows]

# Messages name so many of the keys that are wrong.
_NAMED_KEYS = 3


def is_single(index: object) -> bool:
    """Tell whether an index stands for one record: a key, a Python integer or a NumPy one.

    Examples
    --------
    >>> is_single("ABOTH966-22"), is_single(np.int32(5)), is_single([5])
    (True, True, False)
    """
    if isinstance(index, np.ndarray):
        return index.ndim == 0 and index.dtype.kind in "iu"
    return isinstance(index, str | int | np.integer) and not isinstance(index, bool)


def single_row(index: object, n: int, find: FindKeys) -> int:
    """Return the row of one record.

    Parameters
    ----------
    index : int, numpy.integer or str
        A row, negative from the end, or a key.
    n : int
        Number of records.
    find : callable
        Gives the rows of keys, -1 for the unknown.

    Returns
    -------
    int
        From 0 to ``n - 1``.

    Raises
    ------
    UnknownKeyError
        If no record has this key; a `KeyError`.
    IndexError
        If the row is out of range.

    Examples
    --------
    >>> single_row(-1, 10, find=lambda keys: np.array([]))
    9
    """
    if isinstance(index, str):
        return int(_known_rows([index], find)[0])
    row = operator.index(index)  # type: ignore[arg-type]
    if not -n <= row < n:
        raise IndexError(f"row {row} is out of range: there are {n} records")
    return row + n if row < 0 else row


def batch_rows(index: object, n: int, find: FindKeys) -> Rows:
    """Return the rows of many records, in the order asked.

    Parameters
    ----------
    index : slice, list, tuple or array
        Rows (negative from the end), keys, or a boolean mask of length `n`. Anything `numpy.asarray` takes.
    n : int
        Number of records.
    find : callable
        Gives the rows of keys, -1 for the unknown; called once with all keys.

    Returns
    -------
    ndarray of int64, shape (k,)
        Each from 0 to ``n - 1``.

    Raises
    ------
    UnknownKeyError
        If a key is unknown; names the first three.
    IndexError
        If a row is out of range, a mask has another length, or the values are neither rows nor keys.
    InvalidRequestError
        If one record is given where many are wanted.

    Examples
    --------
    >>> batch_rows([3, -1], 10, find=lambda keys: np.array([])).tolist()
    [3, 9]
    """
    if is_single(index):
        raise InvalidRequestError(f"expected many rows or keys, found {index!r}: put it in a list, [{index!r}]")
    if isinstance(index, slice):
        return np.arange(*index.indices(n), dtype=np.int64)
    if isinstance(index, range):
        return _checked_rows(np.arange(index.start, index.stop, index.step), n)
    values = _one_dimensional(index)
    if values.dtype.kind == "b":
        return _masked_rows(values, n)
    if values.dtype.kind in "Of" and (integers := _python_integers(index, values)) is not None:
        return _rows_of_integers(integers, n)
    if values.dtype.kind in "UOT":
        return _known_rows(_only_keys(index, values), find)
    return _checked_rows(values, n)


def _one_dimensional(index: object) -> npt.NDArray[Any]:
    try:
        values = np.asarray(index)
    except (TypeError, ValueError) as error:
        raise IndexError(f"expected rows, keys or a mask, found {index!r:.100}") from error
    if values.ndim != 1:
        raise IndexError(f"expected one dimension of rows, keys or a mask, found shape {values.shape}")
    return values if values.size else values.astype(values.dtype if values.dtype.kind == "b" else np.int64)


def _masked_rows(mask: npt.NDArray[np.bool_], n: int) -> Rows:
    if len(mask) != n:
        raise IndexError(f"the mask has {len(mask)} values, but there are {n} records")
    return np.flatnonzero(mask).astype(np.int64, copy=False)


def _checked_rows(values: npt.NDArray[Any], n: int) -> Rows:
    if values.dtype.kind not in "iu":
        raise IndexError(f"rows are integers, found an array of {values.dtype}")
    # Compared before it is cast: a large uint64 would turn into a valid negative row.
    wrong = values >= n if values.dtype.kind == "u" else (values >= n) | (values < -n)
    if wrong.any():
        position = int(wrong.argmax())
        raise IndexError(f"row {values[position]} (at {position}) is out of range: there are {n} records")
    rows = values.astype(np.int64)
    rows[rows < 0] += n
    return rows


def _python_integers(index: object, values: npt.NDArray[Any]) -> list[int] | None:
    """Return integers that NumPy has no common type for, such as 2**64, or -1 beside a uint64; else None."""
    given: Any = index if isinstance(index, list | tuple) else values.tolist() if values.dtype.kind == "O" else [None]
    is_integer = (isinstance(item, int | np.integer) and not isinstance(item, bool) for item in given)
    return [int(item) for item in given] if all(is_integer) else None


def _rows_of_integers(integers: list[int], n: int) -> Rows:
    for position, row in enumerate(integers):
        if not -n <= row < n:
            raise IndexError(f"row {row} (at {position}) is out of range: there are {n} records")
    return _checked_rows(np.array(integers, np.int64), n)


def _only_keys(index: object, values: npt.NDArray[Any]) -> list[str]:
    # NumPy turns [1, "a"] into strings, so the items as they were given are looked at.
    given = index if isinstance(index, list | tuple) else values.tolist()
    for position, key in enumerate(given):
        if not isinstance(key, str):
            raise IndexError(f"expected rows or keys, not both: item {position} is {key!r:.100}")
    return [str(key) for key in given]


def _known_rows(keys: list[str], find: FindKeys) -> Rows:
    rows = find(keys)
    unknown = np.flatnonzero(rows < 0)
    if unknown.size:
        named = ", ".join(repr(keys[position]) for position in unknown[:_NAMED_KEYS])
        more = f" and {unknown.size - _NAMED_KEYS} more" if unknown.size > _NAMED_KEYS else ""
        raise UnknownKeyError(f"no record has the key {named}{more}")
    return rows
