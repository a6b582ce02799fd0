"""An open store: its layout, and what of it has been looked at so far."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from arraystore import _core
from arraystore.errors import InvalidRequestError
from arraystore.format.arrays import KEY_DTYPES, field_dtypes
from arraystore.format.base import KEY, Layout, StringChunks
from arraystore.format.containers import open_layout
from arraystore.format.seek import cached_seek_path, seek_path
from arraystore.format.spec import StoreSpec

if TYPE_CHECKING:
    from arraystore.format.columns import StringColumn
    from arraystore.reader.array_field import ArrayField
    from arraystore.reader.column import StoredColumn
    from arraystore.virtual.opened import OpenedSource

__all__ = ["Handle", "open_store", "reopen_source"]

_T = TypeVar("_T")

# Of so many rows, strings are looked up in their chunks; of more, it is quicker to read the column.
_FEW_ROWS = 32


class Handle:
    """What a store and all its views share.

    Nothing but the root document is read until it is asked for. Safe to use from several threads.

    Parameters
    ----------
    layout : Layout
        The store, or the index of a source.
    source : OpenedSource, optional
        The source, if that is what is open.
    """

    def __init__(self, layout: Layout, source: OpenedSource | None = None) -> None:
        self._layout: Layout | None = layout
        self.source = source
        self.path: Path = layout.path if source is None else source.path
        self.spec: StoreSpec = layout.spec if source is None else source.spec
        self._made: dict[tuple[str, str], object] = {}

    def __reduce__(self) -> tuple[Callable[..., Handle], tuple[Any, ...]]:
        if self.source is None:
            return open_store, (str(self.path),)
        return reopen_source, self.source.pickled()

    @property
    def layout(self) -> Layout:
        """Where the arrays lie.

        Raises
        ------
        InvalidRequestError
            If the store was closed.
        """
        if self._layout is None:
            raise InvalidRequestError(f"{self.path}: the store was closed", "closed")
        return self._layout

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._layout is None

    def close(self) -> None:
        """Let go of the files; arrays that were read stay valid."""
        self._layout = None
        self._made.clear()
        if self.source is not None:
            self.source.release()

    def keys(self) -> _core.Keys:
        """Return the keys and their index."""
        return self._once("keys", "", self._make_keys)

    def field(self, name: str) -> _core.Field:
        """Return a field by its name, which is one of the specification."""
        return self._once("field", name, lambda: self._make_field(name))

    def seek_path(self, name: str) -> Path:
        """Return where the seek tables of a field of JPEGs stand; there may be none."""
        if self.source is not None:
            return cached_seek_path(self.layout.path, name)
        return seek_path(self.layout.path, name)

    def array_field(self, name: str) -> ArrayField:
        """Return a field of arrays by its name, which is one of the specification."""
        # Imported here: who reads images needs nothing of it.
        from arraystore.reader.array_field import ArrayField

        return self._once("arrays", name, lambda: ArrayField(self.layout, name, self.keys()))

    def column(self, name: str) -> StoredColumn:
        """Return a column as it lies on disk, with read-only arrays; it is read once."""
        from arraystore.reader.column import check_stored, freeze

        def read() -> StoredColumn:
            stored = self.layout.read_column(name)
            check_stored(name, stored, self.spec.n)
            # All views share it: who wrote into it would change what `select` finds.
            freeze(stored)
            return stored

        return self._once("column", name, read)

    def column_rows(self, name: str, rows: npt.NDArray[np.int64]) -> StoredColumn:
        """Return rows of a column; of strings, only the chunks of a few rows are read, each of them once."""
        from arraystore.reader.column import take

        if len(rows) <= _FEW_ROWS and ("column", name) not in self._made:
            chunks = self._once("chunks", name, lambda: self.layout.string_chunks(name))
            if chunks is not None:
                return self._strings(name, chunks, rows)
        return take(self.column(name), rows)

    def _strings(self, name: str, chunks: StringChunks, rows: npt.NDArray[np.int64]) -> StringColumn:
        from arraystore.format.columns import StringColumn
        from arraystore.reader.column import check_stored, freeze

        def read(number: int) -> StringColumn:
            stored = chunks.read(number)
            check_stored(name, stored, min(chunks.rows, self.spec.n - number * chunks.rows))
            freeze(stored)
            return stored

        found = [
            (self._once(f"chunk {number}", name, partial(read, number)), place)
            for number, place in (divmod(row, chunks.rows) for row in rows.tolist())
        ]
        values = np.array([stored.values[place] for stored, place in found], object)
        missing = [stored.mask[place] for stored, place in found if stored.mask is not None]
        return StringColumn(values, np.array(missing) if missing else None)

    def numbers(self, field: str, array: str) -> npt.NDArray[np.generic]:
        """Return one number of every record, read-only: ``status`` or ``nbytes`` of a field; read once."""

        def read() -> npt.NDArray[np.generic]:
            values = np.asarray(getattr(self.field(field), array)())
            values.flags.writeable = False
            return values

        return self._once(array, field, read)

    def _once(self, kind: str, name: str, make: Callable[[], _T]) -> _T:
        _ = self.layout
        made = self._made.get((kind, name))
        if made is None:
            # No lock, which a forked child might find held for ever: of two threads, the first to finish is kept.
            made = self._made.setdefault((kind, name), make())
        return cast("_T", made)

    def _make_keys(self) -> _core.Keys:
        return _core.Keys(self.spec.n, **{array: self.layout.pieces(f"{KEY}/{array}") for array in KEY_DTYPES})

    def _make_field(self, name: str) -> _core.Field:
        if self.source is not None and name == self.source.image_field:
            return self.source.images(self.keys(), seek=str(self.seek_path(name)))
        # All of them: without its checksums, a field would be read unchecked.
        pieces = {array: self.layout.pieces(f"{name}/{array}") for array in field_dtypes(self.spec.field(name).kind)}
        seek = str(self.seek_path(name)) if self.spec.field(name).kind == "jpeg" else None
        return _core.Field(name, self.spec.n, keys=self.keys(), seek=seek, **pieces)


def open_store(path: str | os.PathLike[str]) -> Handle:
    """Open a store.

    Parameters
    ----------
    path : path-like
        Its place.

    Returns
    -------
    Handle

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    UnfinishedStoreError, FormatError
        If it is not a finished store of a known format.
    """
    return Handle(open_layout(path))


def reopen_source(*pickled: Any) -> Handle:
    """Open a source that another process has open; see `arraystore.virtual.opened.reopen_source`."""
    from arraystore.virtual.opened import reopen_source as reopen

    source = reopen(*pickled)
    return Handle(source.layout, source)
