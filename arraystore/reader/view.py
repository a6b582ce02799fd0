"""A part of a store with the same methods: a handle and a list of rows."""

from __future__ import annotations

import numpy as np

from arraystore.reader.facade import Facade
from arraystore.reader.indexing import Rows

__all__ = ["View"]


class View(Facade):
    """Some records of a store in some order, made by `Store.select`; it has the methods of a `Store`.

    Its rows count from 0. Random crops depend on the rows of the store, so a record has the same crop in any view.
    It is pickled as the place of the store and a list of rows.
    """

    @property
    def store_rows(self) -> Rows:
        """Row in the store of each record: ndarray of int64, shape (n,), read-only."""
        rows = self.to_store_rows(np.arange(len(self))) if self._store_rows is None else self._store_rows.view()
        rows.flags.writeable = False
        return rows

    def __reduce__(self) -> tuple[object, ...]:
        return View, (self.handle, self._store_rows)

    def __repr__(self) -> str:
        return f"View({str(self.handle.path)!r}, {len(self):,} of {self.handle.spec.n:,} records)"
