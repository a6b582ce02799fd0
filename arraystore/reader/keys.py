"""The keys of a store or a view, as a sequence that is read where it is looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from arraystore.errors import InvalidRequestError
from arraystore.reader.indexing import batch_rows, is_single, single_row

if TYPE_CHECKING:
    from arraystore.reader.table import RecordTable

__all__ = ["KeySequence"]

# Keys are turned into Python strings so many at a time.
_BLOCK_ROWS = 16_384
_SHOWN = 3


class KeySequence(Sequence[str]):
    """The keys of a table in row order: a `Sequence` of str whose look-ups use the index of the store.

    Parameters
    ----------
    table : RecordTable
        A store or a view.
    """

    def __init__(self, table: RecordTable) -> None:
        self._table = table

    def __len__(self) -> int:
        return len(self._table)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice | Sequence[int] | npt.NDArray[Any]) -> list[str]: ...
    def __getitem__(self, index: Any) -> str | list[str]:
        if is_single(index):
            row = single_row(index, len(self), self._table.find)
            return self._take(np.array([row], np.int64))[0]
        return self._take(batch_rows(index, len(self), self._table.find))

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _BLOCK_ROWS):
            yield from self[start : start + _BLOCK_ROWS]

    def __contains__(self, key: object) -> bool:
        return key in self._table

    def index(self, value: Any, start: int = 0, stop: int | None = None) -> int:
        """Return the row of a key between `start` and `stop`.

        Raises
        ------
        InvalidRequestError
            If it is not there: a ValueError, as a `Sequence` promises. `Store.row` raises a KeyError.
        """
        row = int(self._table.find([value])[0]) if isinstance(value, str) else -1
        if row not in range(*slice(start, stop).indices(len(self))):
            between = "" if (start, stop) == (0, None) else f" from row {start} to {stop}"
            raise InvalidRequestError(f"no record{between} has the key {value!r}", "unknown-key")
        return row

    def count(self, value: Any) -> int:
        """Return how often a key occurs: keys are unique, so 0 or 1."""
        return int(value in self)

    def to_list(self) -> list[str]:
        """Return all keys."""
        return self[:]

    def __repr__(self) -> str:
        shown = [repr(key) for key in self[:_SHOWN]] + (["..."] if len(self) > _SHOWN else [])
        return f"KeySequence({len(self):,} keys: {', '.join(shown)})"

    def _take(self, rows: npt.NDArray[np.int64]) -> list[str]:
        return self._table.handle.keys().take(self._table.to_store_rows(rows)).to_list()
