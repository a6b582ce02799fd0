"""An open store: its layout, and what of it has been looked at so far."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
import numpy.typing as npt

from arraystore import _core
from arraystore.errors import InvalidRequestError
from arraystore.format.arrays import KEY_DTYPES, field_dtypes
from arraystore.format.base import KEY, Layout
from arraystore.format.containers import open_layout
from arraystore.format.spec import StoreSpec

if TYPE_CHECKING:
    from arraystore.reader.column import StoredColumn

__all__ = ["Handle"]

_T = TypeVar("_T")


class Handle:
    """What a store and all its views share.

    Nothing but the root document is read until it is asked for. Safe to use from several threads.

    Parameters
    ----------
    path : path-like
        Directory of the store.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    UnfinishedStoreError, FormatError
        If it is not a finished store of a known format.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._layout: Layout | None = open_layout(path)
        self.path: Path = self._layout.path
        self.spec: StoreSpec = self._layout.spec
        self._made: dict[tuple[str, str], object] = {}

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

    def keys(self) -> _core.Keys:
        """Return the keys and their index."""
        return self._once("keys", "", self._make_keys)

    def field(self, name: str) -> _core.Field:
        """Return a field by its name, which is one of the specification."""
        return self._once("field", name, lambda: self._make_field(name))

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
        # All of them: without its checksums, a field would be read unchecked.
        pieces = {array: self.layout.pieces(f"{name}/{array}") for array in field_dtypes(self.spec.field(name).kind)}
        return _core.Field(name, self.spec.n, keys=self.keys(), **pieces)
