"""One field of arrays of an open store: its items, gathered or mapped."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from arraystore import _core
from arraystore.errors import DamagedStoreError, InvalidRequestError
from arraystore.format.arrays import NO_ITEM
from arraystore.format.base import Layout
from arraystore.format.items import gather_items, open_items
from arraystore.reader.indexing import Rows

__all__ = ["ArrayField"]


class ArrayField:
    """The items of a field, and which of them each record has.

    Parameters
    ----------
    layout : Layout
        The store.
    name : str
        Name of the field.
    keys : _core.Keys
        The keys of the store.
    """

    def __init__(self, layout: Layout, name: str, keys: _core.Keys) -> None:
        self.spec = layout.spec.field(name)
        self.stored = layout.items(name)
        self.dtype = np.dtype(self.spec.dtype).newbyteorder("<")
        self.core = open_items(layout, self.spec, keys)
        self._keys = keys
        # One number for each record and for each item: read when they are first asked for.
        self._item: Rows | None = None
        self._status: npt.NDArray[np.uint8] | None = None

    @property
    def item(self) -> Rows:
        """Item of each record, -1 if it has none; read-only."""
        if self._item is None:
            row = np.asarray(self.core.row()).astype(np.int64)
            row[row == NO_ITEM] = -1
            row.flags.writeable = False
            self._item = row
        return self._item

    @property
    def status(self) -> npt.NDArray[np.uint8]:
        """Status of each item."""
        if self._status is None:
            self._status = np.asarray(self.core.status()).astype(np.uint8, copy=False)
        return self._status

    def array(self, n: int, out: Any = None) -> npt.NDArray[Any]:
        """Return the array to fill with `n` items: a new one, or the memory of `out` after it was checked.

        Raises
        ------
        InvalidRequestError
            If `out` has another shape or dtype, or is read-only or not C-contiguous.
        """
        shape = (n, *self.spec.shape)
        if out is None:
            return np.empty(shape, self.dtype)
        if isinstance(out, list | tuple | dict) or not hasattr(out, "__array__"):
            raise InvalidRequestError(f"out: expected an array to fill, found {type(out).__name__}")
        array: npt.NDArray[Any] = np.asarray(out)
        if array.dtype != self.dtype or array.shape != shape:
            raise InvalidRequestError(
                f"out: expected {self.dtype.name} of shape {shape} for {self.spec.name}, found {array.dtype} of "
                f"{array.shape}"
            )
        if not array.flags.writeable or not array.flags.c_contiguous:
            raise InvalidRequestError("out: expected a writable, C-contiguous array")
        return array

    def gather(self, rows: Rows, out: npt.NDArray[Any], *, verify: bool, threads: int) -> None:
        """Fill an array with the items of records, in the order asked.

        Parameters
        ----------
        rows : ndarray of int64
            Rows of the store.
        out : ndarray
            As `array` returned it.
        verify : bool
            Whether each item is compared with its checksum.
        threads : int
            Threads to use.
        """
        flat = out.reshape(-1).view(np.uint8)
        gather_items(self.spec, self.core, self._keys, rows, flat, verify=verify, threads=threads)

    def maps(self) -> list[npt.NDArray[Any]]:
        """Map the items, one read-only array for each shard.

        Raises
        ------
        InvalidRequestError
            If they are compressed.
        DamagedStoreError
            If a file is missing or cut short.
        """
        name, codec = self.spec.name, self.spec.codec
        if codec is not None:
            raise InvalidRequestError(
                f"{name} is compressed ({codec}), so it cannot be mapped: read it with "
                f"store.arrays(rows, field={name!r}), or ingest without a codec",
                "not-one-map",
            )
        shards = []
        for number, (path, offset) in enumerate(self.stored.files):
            first = number * self.stored.shard_items
            count = min(self.stored.shard_items, self.stored.count - first)
            shards.append(self._map(Path(path), offset, count))
        return shards

    def _map(self, path: Path, offset: int, count: int) -> npt.NDArray[Any]:
        needed = offset + count * self.spec.item_nbytes
        try:
            found = os.stat(path).st_size  # noqa: PTH116 (Path.stat would say the same)
        except FileNotFoundError as error:
            raise DamagedStoreError(f"{path}: the file is missing: restore it from a copy", "missing-file") from error
        if found < needed:
            raise DamagedStoreError(
                f"{path}: expected at least {needed} bytes, found {found}: the file is cut short; restore it from a "
                "copy",
                "file-too-short",
            )
        return np.memmap(path, self.dtype, "r", offset, (count, *self.spec.shape))
