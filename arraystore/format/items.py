"""Fields of arrays as the core reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from arraystore import _core
from arraystore.errors import DamagedStoreError
from arraystore.format.codecs import unblosc
from arraystore.format.spec import FieldSpec, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arraystore.format.base import Layout


def open_items(layout: Layout, field: FieldSpec, keys: _core.Keys | None) -> _core.ArrayField:
    """Return a field of arrays; no file is opened.

    Parameters
    ----------
    layout : Layout
        The store.
    field : FieldSpec
        The field.
    keys : _core.Keys or None
        The keys, to name records in messages.

    Returns
    -------
    _core.ArrayField

    Raises
    ------
    FormatError
        If an array of it is not as format 1 has it.
    """
    stored = layout.items(field.name)
    return _core.ArrayField(
        field.name,
        layout.spec.n,
        count=stored.count,
        item_nbytes=field.item_nbytes,
        files=stored.files,
        shard_items=stored.shard_items,
        codec=stored.codec,
        row=layout.pieces(f"{field.name}/row"),
        crc32c=layout.pieces(f"{field.name}/crc32c"),
        status=layout.pieces(f"{field.name}/status"),
        keys=keys,
    )


def gather_items(
    field: FieldSpec,
    core: _core.ArrayField,
    keys: _core.Keys,
    rows: npt.NDArray[np.int64],
    out: npt.NDArray[np.uint8],
    *,
    verify: bool,
    threads: int,
) -> None:
    """Fill memory with the items of records, one after another, decompressed.

    Parameters
    ----------
    field : FieldSpec
        The field.
    core : _core.ArrayField
        What `open_items` returned.
    keys : _core.Keys
        The keys of the store, to name records in messages.
    rows : ndarray of int64, shape (k,)
        Rows of the store, each of which has an item with samples.
    out : ndarray of uint8
        As long as `k` items.
    verify : bool
        Whether each item is compared with its checksum.
    threads : int
        Threads to use.

    Raises
    ------
    MissingImageError
        If a record has no item that can be read.
    DamagedStoreError
        If one is not what was written.
    """
    if field.codec != "blosc":
        core.gather(rows, out, verify=verify, threads=threads)
        return
    for number, compressed in enumerate(core.stored(rows)):
        try:
            unblosc(compressed, out[number * field.item_nbytes : (number + 1) * field.item_nbytes])
        except DamagedStoreError as error:
            row = int(rows[number])
            raise DamagedStoreError(
                f"record {row} ({keys.get(row)}), {field.name}: {error}; the file is damaged: run `arraystore verify`",
                error.code,
            ) from error
    if verify:
        core.compare(rows, out)


def holds_samples(status: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Tell of items by their status whether they are samples, and not zeros in place of them."""
    return np.isin(status, (Status.SOUND, Status.SOURCE_CORRUPT))


def worst_status(fields: Sequence[tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]]) -> npt.NDArray[np.uint8]:
    """Return the status of records: that of the first of their items that is not sound.

    Parameters
    ----------
    fields : sequence of (ndarray of int, ndarray of uint8)
        For each field the item of each record, -1 or `NO_ITEM` if it has none, and the status of each item.

    Returns
    -------
    ndarray of uint8, shape (n,)
    """
    status = np.zeros(len(fields[0][0]) if fields else 0, np.uint8)
    for row, of_item in reversed(fields):
        # One more than items: a record without one finds that it is missing. -1 is the last, as `NO_ITEM` becomes.
        known = np.append(of_item, np.uint8(Status.MISSING))[np.minimum(row, len(of_item))]
        status = np.where(known != Status.SOUND, known, status)
    return status
