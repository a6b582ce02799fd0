"""Conditions on columns, as a mask of rows; pure."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from arraystore.errors import InvalidRequestError
from arraystore.reader.column import Column, Mask

__all__ = ["conditions_mask", "expand_splits"]

_SPLIT_COLUMN = "split"


def conditions_mask(
    conditions: Mapping[str, object],
    column: Callable[[str], Column],
    *,
    n: int,
    splits: Mapping[str, Sequence[str]],
    dataset: str,
) -> Mask:
    """Return the rows that meet all conditions.

    Parameters
    ----------
    conditions : mapping of str to object
        For each column a value, a collection of values, None for a missing value, or a function that is given
        `Column.to_numpy` and returns which rows are meant, as booleans.
    column : callable
        Gives a column by name; raises if there is none.
    n : int
        Number of rows.
    splits : mapping of str to sequence of str
        For each name of a split, meta-split or alias, the splits that it stands for.
    dataset : str
        Publisher's name of the data set, for messages.

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    KeyError
        If there is no such column.
    InvalidRequestError
        If a split is unknown, text is compared with numbers, or a function returns anything but a mask of `n` rows.
    """
    mask = np.ones(n, np.bool_)
    for name, condition in conditions.items():
        chosen = column(name)
        if callable(condition):
            mask &= _called(name, condition, chosen.to_numpy())
            continue
        values = _listed(name, condition)
        if name == _SPLIT_COLUMN:
            expanded = expand_splits(values, chosen.categories or (), splits=splits, dataset=dataset)
            if expanded is None:
                continue
            values = expanded
        mask &= chosen.isin(values)
    return mask


def expand_splits(
    values: Iterable[object], present: Sequence[str], *, splits: Mapping[str, Sequence[str]], dataset: str
) -> list[object] | None:
    """Replace meta-splits and sums by the splits they stand for.

    Parameters
    ----------
    values : iterable
        Names of splits, of meta-splits (``"seen"``, ``"unseen"``, ``"validation"``, ``"all"``), sums of them
        (``"val+test"``), or None for rows without a split.
    present : sequence of str
        Splits that occur in the store.
    splits : mapping of str to sequence of str
        For each name of a split, meta-split or alias, the splits that it stands for. A store of a part of a package
        may lack some of them; asking for those is no mistake.
    dataset : str
        Publisher's name of the data set, for messages.

    Returns
    -------
    list of object, or None
        None if every row is meant.

    Raises
    ------
    InvalidRequestError
        If a name is none of these.

    Examples
    --------
    >>> expand_splits(["seen"], ["train"], splits={"seen": ("train", "val", "test")}, dataset="BIOSCAN-5M")
    ['train', 'val', 'test']
    """
    expanded: list[object] = []
    for name in _summands(values, known={*splits, *present}):
        if name == "all" and name not in present:
            return None
        if isinstance(name, str) and name not in splits and name not in present:
            names = ", ".join(dict.fromkeys((*splits, *present, "all")))
            raise InvalidRequestError(f"no split {name!r} in {dataset}: there are {names}", "unknown-split")
        expanded += splits.get(name, (name,)) if isinstance(name, str) else (name,)
    return expanded


def _summands(values: Iterable[object], *, known: Container[object]) -> list[object]:
    parts: list[object] = []
    for value in values:
        is_sum = isinstance(value, str) and value not in known
        parts += [part.strip() for part in str(value).split("+")] if is_sum else [value]
    return parts


def _called(name: str, condition: Callable[..., object], values: npt.NDArray[Any]) -> Mask:
    """Return the mask that a function makes of the values of a column."""
    returned = condition(values)
    expected = f"{name}: the function must return {len(values)} booleans, one for each row"
    try:
        mask = np.asarray(returned)
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(f"{expected}, found {returned!r:.100}", "no-mask") from error
    if mask.shape != values.shape:
        found = f"{returned!r:.100}" if mask.ndim == 0 else f"shape {mask.shape}"
        raise InvalidRequestError(f"{expected}, found {found}", "no-mask")
    # An empty list has no type of its own.
    if mask.dtype.kind != "b" and len(mask):
        found = "missing values, or objects" if mask.dtype.kind == "O" else str(mask.dtype)
        raise InvalidRequestError(f"{expected}, found {found}", "no-mask")
    return mask.astype(np.bool_, copy=False)


def _listed(name: str, condition: object) -> list[Any]:
    """Return the values of a condition: itself, or the items of a list, tuple, set, array or Series."""
    if isinstance(condition, Mapping):
        raise InvalidRequestError(f"{name}={condition!r:.100}: expected a value or a list of values, found a mapping")
    # NumPy arrays and scalars, pandas Series and pyarrow arrays.
    if not isinstance(condition, str) and hasattr(condition, "tolist"):
        values = condition.tolist()
        return values if isinstance(values, list) else [values]
    return (
        list(condition) if isinstance(condition, Iterable) and not isinstance(condition, str | bytes) else [condition]
    )
