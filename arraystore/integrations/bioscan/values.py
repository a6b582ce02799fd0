"""The values of records by the names that bioscan-dataset has for them, read when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from arraystore.integrations.bioscan.categories import MISSING_TEXTS, Categories
from arraystore.reader.column import Column
from arraystore.reader.indexing import Rows
from arraystore.reader.store import Store

__all__ = ["Array", "Values", "is_of_parts", "table_rows"]

Array: TypeAlias = npt.NDArray[Any]

# The publisher's names of what is measured, besides those of the columns.
SIZE, GEOLOCATION = "size", "geolocation"
_LATITUDE, _LONGITUDE, _PIXELS = "coord-lat", "coord-lon", "image_measurement_value"


class Values:
    """Columns of a store by name, and what follows from them.

    Parameters
    ----------
    store : Store
        The store.
    labels : callable
        Makes the categories of a column of `labelled`; those of others are in the order of the store.
    labelled : sequence of str
        The columns whose labels are numbered as bioscan-dataset does.
    ranks : sequence of str
        Those of them that are targets by their labels.
    dtypes : mapping of str to type
        Columns of numbers that have another type here than in the store.
    made : mapping of str to callable
        What else has a name: for rows of the store, an array of values.
    """

    def __init__(
        self,
        store: Store,
        *,
        labels: Callable[[str], Categories],
        labelled: tuple[str, ...],
        ranks: tuple[str, ...],
        dtypes: Mapping[str, type[np.generic]],
        made: Mapping[str, Callable[[Rows], Array]],
    ) -> None:
        self.store = store
        self.ranks = ranks
        self._labels = labels
        self._labelled = labelled
        self._dtypes = dtypes
        self._made = made
        self._kept: dict[str, Categories | Array | None] = {}

    def __contains__(self, name: str) -> bool:
        columns, key = self.store.columns, self.store.handle.spec.key
        if name.removesuffix("_index") in self.ranks:
            return name.removesuffix("_index") in columns
        if name in (SIZE, GEOLOCATION):
            return {_PIXELS, _LATITUDE, _LONGITUDE} <= set(columns)
        return name == key or name in self._made or name in columns

    def at(self, name: str, rows: Rows) -> Array:
        """Return the values of some rows of the store: objects (str or NaN) for text, else numbers."""
        if name.endswith("_index") and name.removesuffix("_index") in self.ranks:
            return np.asarray(self.categories(name.removesuffix("_index")).codes[rows])
        if name == self.store.handle.spec.key:
            return np.array(self.store.keys[rows], object)
        if name in self._made:
            return self._made[name](rows)
        if name == SIZE:
            return self.at(_PIXELS, rows)
        if name == GEOLOCATION:
            return np.stack([self.at(_LATITUDE, rows), self.at(_LONGITUDE, rows)], axis=-1)
        kept = self._column(name)
        if isinstance(kept, Categories):
            return kept.at(rows)
        return kept[rows] if kept is not None else _texts(self.store.select(rows).columns[name])

    def categories(self, name: str) -> Categories:
        """Return the labels of a column.

        Raises
        ------
        UnknownColumnError
            If there is no such column.
        ValueError
            If it has no categories.
        """
        kept = self._column(name)
        if not isinstance(kept, Categories):
            raise ValueError(f"column {name!r} has no categories: expected one of {', '.join(self.ranks)}")
        return kept

    def _column(self, name: str) -> Categories | Array | None:
        """Return what is kept of a column: its categories, its numbers, or nothing of one of strings."""
        if name not in self._kept:
            column = self.store.columns[name]
            self._kept[name] = self._labels(name) if name in self._labelled else self._read(column)
        return self._kept[name]

    def _read(self, column: Column) -> Categories | Array | None:
        if column.codes is not None and column.categories is not None:
            return Categories.of_pandas(column.codes, column.categories)
        if not len(column) or isinstance(column[0], str | None):
            return None
        numbers = column.to_numpy()
        dtype = self._dtypes.get(column.name, numbers.dtype)
        # Of rows without a value, which are none of the table's, an integer type has no NaN.
        return np.nan_to_num(numbers).astype(dtype) if np.issubdtype(dtype, np.integer) else numbers.astype(dtype)


def table_rows(store: Store, columns: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Tell which records have a row in the table: not images that it does not list.

    Parameters
    ----------
    store : Store
        The store.
    columns : tuple of str
        Of which a row of the table has at least one, unless it has a barcode.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    mask = np.zeros(len(store), np.bool_)
    for field in store.handle.spec.fields:
        if field.kind == "text":
            mask |= store.handle.numbers(field.name, "nbytes").astype(np.bool_)
    for name in columns:
        if name in store.columns and not mask.all():
            mask |= ~store.columns[name].isna()
    return mask


def is_of_parts(source: Mapping[str, Any]) -> bool:
    """Tell whether records of several tables were put one after another, so that their order is none of them.

    Parameters
    ----------
    source : mapping
        Where the store came from, as it says itself.

    Examples
    --------
    >>> one, other = {"added": 2, "added_rows": 0}, {"added_rows": 1}
    >>> is_of_parts({"appended": [one]}), is_of_parts({"from": {"appended": [other]}})
    (False, True)
    """
    before = source.get("from")
    return (
        "stores" in source
        or any(_added_rows(each) for each in source.get("appended", ()))
        or (isinstance(before, Mapping) and is_of_parts(before))
    )


def _added_rows(appended: Mapping[str, Any]) -> bool:
    # Images without a row are records as well, and not counted here.
    return bool(appended.get("added_rows", 1) > 0)


def _texts(column: Column) -> Array:
    texts = column.to_numpy()
    is_missing = np.fromiter((text is None or text in MISSING_TEXTS for text in texts), np.bool_, len(texts))
    return np.where(is_missing, np.nan, texts) if is_missing.any() else texts
