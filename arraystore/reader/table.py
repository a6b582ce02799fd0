"""Records as rows of a table: length, keys, columns, selection."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from arraystore.reader.handle import Handle
from arraystore.reader.indexing import Index, Rows, batch_rows, single_row
from arraystore.reader.key_file import rows_of_file
from arraystore.reader.keys import KeySequence
from arraystore.reader.sampling import sample_rows

if TYPE_CHECKING:
    from arraystore.reader.columns import Columns
    from arraystore.reader.info import Info
    from arraystore.reader.labels import LabelOrder, Labels
    from arraystore.reader.view import View

__all__ = ["RecordTable"]

# What is made of columns is loaded by the methods that make it: who reads images starts sooner without it.


class RecordTable:
    """What a store and its views have in common; not made by users.

    Parameters
    ----------
    handle : Handle
        The open store.
    store_rows : ndarray of int64, optional
        Which rows of the store, and in what order; all of them if not given.
    """

    def __init__(self, handle: Handle, store_rows: Rows | None = None) -> None:
        self.handle = handle
        self._store_rows = store_rows
        # For look-ups by key in a view, made at the first: its rows in ascending order, and where they stand.
        self._sorted: tuple[Rows, Rows] | None = None

    def __len__(self) -> int:
        return self.handle.spec.n if self._store_rows is None else len(self._store_rows)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and bool(self.find([key])[0] >= 0)

    @property
    def selected_rows(self) -> Rows | None:
        """Rows of the store, in their order; None for all of them."""
        return self._store_rows

    @property
    def keys(self) -> KeySequence:
        """Keys of all records in row order: a lazy sequence of str."""
        return KeySequence(self)

    @property
    def columns(self) -> Columns:
        """Columns by name, each read when it is first asked for."""
        from arraystore.reader.columns import Columns

        rows = self._store_rows
        return Columns(
            self.handle.layout.column_names,
            load=self.handle.column if rows is None else lambda name: self.handle.column_rows(name, rows),
            keys=lambda: (self.handle.spec.key, self.keys.to_list()),
            n=len(self),
        )

    def row(self, key: str) -> int:
        """Return the row of a key, so that ``store[store.row(key)]`` is ``store[key]``.

        Raises
        ------
        UnknownKeyError
            If no record has this key; a `KeyError`.
        """
        return single_row(str(key), len(self), self.find)

    def rows(self, index: Index) -> Rows:
        """Return the rows of many records.

        Parameters
        ----------
        index : slice, or array_like of int, str or bool
            Keys, rows (negative from the end) or a mask.

        Returns
        -------
        ndarray of int64, shape (k,)
            In the order asked.

        Raises
        ------
        UnknownKeyError
            If a key is unknown; a `KeyError`.
        IndexError
            If a row is out of range, or a mask has a wrong length.
        """
        return batch_rows(index, len(self), self.find)

    def find(self, keys: Sequence[str]) -> Rows:
        """Return the rows of keys, -1 for those that are unknown: ndarray of int64, shape (k,)."""
        found: Rows = np.asarray(self.handle.keys().find(list(keys)), np.int64)
        if self._store_rows is None:
            return found
        if self._sorted is None:
            order = np.argsort(self._store_rows, kind="stable").astype(np.int64)
            self._sorted = self._store_rows[order], order
        ascending, order = self._sorted
        if not len(order):
            return np.full_like(found, -1)
        place = np.minimum(np.searchsorted(ascending, found), len(order) - 1)
        return np.where(ascending[place] == found, order[place], -1)

    def select(
        self, where: Mapping[str, object] | Index | os.PathLike[str] | None = None, **conditions: object
    ) -> View:
        """Return the records that meet all conditions, as a view: nothing is copied.

        Parameters
        ----------
        where : mapping, index, or pathlib.Path, optional
            Conditions on columns whose names are no Python names, ``{"coord-lat": None}``; or rows, keys, a slice or
            a mask, such as ``store.columns["coord-lat"].to_numpy() > 10``, whose order the view then has. Or the path
            of a text file in UTF-8 with a key on each line; empty lines do not count.
        **conditions
            For each column a value, a list of values, or None for a missing one. A value that does not occur selects
            nothing. Or a function, such as ``lambda latitude: latitude > 10``: it is given the values of all records of
            this store or view, as `Column.to_numpy` does (text as objects, None where it is missing), and returns a
            boolean for each. `split` also takes the publisher's meta-splits (``"seen"``, ``"unseen"``,
            ``"validation"``, ``"all"``) and sums (``"val+test"``); no other column does.

        Returns
        -------
        View
            With the same methods; itself selectable.

        Raises
        ------
        UnknownColumnError
            If there is no such column; a `KeyError`.
        InvalidRequestError
            If a split is unknown, text is compared with numbers, or a function returns no mask of the right length.
        UnknownKeyError, IndexError
            If `where` holds unknown keys, or rows out of range. For a file, the message has their lines and number.
        OSError
            If a file of keys cannot be read.
        """
        from arraystore.reader.selection import conditions_mask

        # Imported here: a view is a table itself.
        from arraystore.reader.view import View

        if where is not None and not isinstance(where, Mapping):
            rows = rows_of_file(where, self.find) if isinstance(where, os.PathLike) else self.rows(where)
            chosen = View(self.handle, self.to_store_rows(rows))
            return chosen.select(conditions) if conditions else chosen
        spec = self.handle.spec
        mask = np.ones(len(self), np.bool_)
        # One after the other: a column that is named in both has to meet both.
        for each in (where or {}, conditions):
            mask &= conditions_mask(
                each, self.columns.__getitem__, n=len(self), splits=spec.splits, dataset=spec.dataset
            )
        return View(self.handle, self.to_store_rows(np.flatnonzero(mask)))

    def sample(self, n: int, *, seed: int = 0) -> View:
        """Return some records drawn at random without replacement, as a view.

        Which ones depends on `seed` and on the number of records alone, with any version of NumPy on any machine.

        Parameters
        ----------
        n : int
            How many.
        seed : int, default 0
            From 0 to ``2**64 - 1``.

        Returns
        -------
        View
            In the order drawn, so that a smaller sample is the beginning of a larger one of the same seed, and
            ``sample(len(store))`` is a shuffled store.

        Raises
        ------
        InvalidRequestError
            If there are fewer than `n` records, or an argument is no such integer.
        """
        # Imported here: a view is a table itself.
        from arraystore.reader.view import View

        return View(self.handle, self.to_store_rows(sample_rows(n, len(self), seed=seed)))

    def labels(self, column: str, *, order: LabelOrder = "sorted") -> Labels:
        """Return the labels of a column as integer codes, for training.

        A label has the same code in every view, since the codes are fixed over all records of the store. They are those
        of the publisher's table if all its rows were ingested (``rows="all"``): images without a row come after the
        rows, and have labels only of what their path says (``split``, ``chunk``), so that they change no others.

        Parameters
        ----------
        column : str
            A categorical one, such as ``"species"``.
        order : {"sorted", "pandas<3"}
            - ``"sorted"``: by code point, as ``pandas.read_csv(dtype="category")`` numbers them since pandas 3.
            - ``"pandas<3"``: as it did before with tables of 16 to 31 columns: in blocks of 32,768 rows, of which each
              appends the labels that are new, sorted. For codes that were published or trained with.

        Returns
        -------
        Labels
            ``codes``, one for each record of this store or view, -1 for a missing label, in the integer type that
            pandas would take; and ``names``, a list of all labels, so that ``names[code]`` is the label.

        Raises
        ------
        UnknownColumnError
            If there is no such column; a `KeyError`.
        InvalidRequestError
            If it is not categorical, or `order` is unknown.
        """
        from arraystore.reader.columns import unknown_column
        from arraystore.reader.labels import Labels, make_labels

        if column not in self.handle.layout.column_names:
            raise unknown_column(column, self.handle.layout.column_names)
        labels = make_labels(column, self.handle.column(column), order=order)
        return labels if self._store_rows is None else Labels(labels.codes[self._store_rows], labels.names)

    def info(self) -> Info:
        """Return package, fields, counts by split and status, and sizes, as one printable record."""
        from arraystore.reader.info import make_info

        return make_info(self.handle, self._store_rows)

    def to_store_rows(self, rows: Rows) -> Rows:
        """Return rows of the store for rows of this table, both int64."""
        return rows if self._store_rows is None else self._store_rows[rows]

    def _ipython_key_completions_(self) -> Any:
        return self.keys[:100]
