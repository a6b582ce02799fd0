"""Conditions on columns, as a mask of rows; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from arraystore.errors import InvalidRequestError
from arraystore.reader.column import Column, Mask

__all__ = ["META_SPLITS", "conditions_mask", "expand_splits"]

# Unions that the publishers name, by data set. `all` is every row.
META_SPLITS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "BIOSCAN-5M": {
        "seen": ("train", "val", "test"),
        "unseen": ("key_unseen", "val_unseen", "test_unseen"),
        "validation": ("val",),
    },
}

# Splits that a store of a part of the package may lack; asking for them is no mistake.
_SPLITS: Mapping[str, tuple[str, ...]] = {
    "BIOSCAN-5M": (
        "pretrain", "train", "val", "test", "key_unseen", "val_unseen", "test_unseen", "other_heldout",
    ),
}  # fmt: skip

_SPLIT_COLUMN = "split"


def conditions_mask(conditions: Mapping[str, object], column: Callable[[str], Column], *, n: int, dataset: str) -> Mask:
    """Return the rows that meet all conditions.

    Parameters
    ----------
    conditions : mapping of str to object
        For each column a value, a collection of values, or None for a missing value.
    column : callable
        Gives a column by name; raises if there is none.
    n : int
        Number of rows.
    dataset : str
        Publisher's name of the data set, which says what its meta-splits are.

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    KeyError
        If there is no such column.
    InvalidRequestError
        If a split is unknown, or text is compared with numbers.
    """
    mask = np.ones(n, np.bool_)
    for name, condition in conditions.items():
        chosen = column(name)
        values = _listed(name, condition)
        if name == _SPLIT_COLUMN:
            expanded = expand_splits(values, chosen.categories or (), dataset=dataset)
            if expanded is None:
                continue
            values = expanded
        mask &= chosen.isin(values)
    return mask


def expand_splits(values: Iterable[object], present: Sequence[str], *, dataset: str) -> list[object] | None:
    """Replace meta-splits and sums by the splits they stand for.

    Parameters
    ----------
    values : iterable
        Names of splits, of meta-splits (``"seen"``, ``"unseen"``, ``"validation"``, ``"all"``), sums of them
        (``"val+test"``), or None for rows without a split.
    present : sequence of str
        Splits of the store.
    dataset : str
        Publisher's name of the data set.

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
    >>> expand_splits(["seen"], ["train"], dataset="BIOSCAN-5M")
    ['train', 'val', 'test']
    """
    metas = META_SPLITS.get(dataset, {})
    known = dict.fromkeys((*_SPLITS.get(dataset, ()), *present))
    expanded: list[object] = []
    for name in _summands(values):
        if name == "all":
            return None
        if isinstance(name, str) and name not in known and name not in metas:
            names = ", ".join([*known, *metas, "all"])
            raise InvalidRequestError(f"no split {name!r} in {dataset}: there are {names}", "unknown-split")
        expanded += metas.get(name, (name,)) if isinstance(name, str) else (name,)
    return expanded


def _summands(values: Iterable[object]) -> list[object]:
    parts: list[object] = []
    for value in values:
        parts += [part.strip() for part in value.split("+")] if isinstance(value, str) else [value]
    return parts


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
