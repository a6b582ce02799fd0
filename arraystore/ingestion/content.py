"""What a store is to hold, wherever it comes from: keys, fields as places of bytes, columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from arraystore.format.columns import WritableColumn
from arraystore.format.spec import FieldSpec

if TYPE_CHECKING:
    from arraystore._core import Extents, Strings

Check = Literal["none", "header", "pixels"]


@dataclass(frozen=True, slots=True)
class FieldContent:
    """The records of one field: where their bytes are, in the order in which they are to be written.

    Parameters
    ----------
    spec : FieldSpec
        Name and kind.
    extents : Extents
        Where the bytes of each are.
    nbytes : ndarray of uint32, shape (k,)
        Their sizes.
    record : ndarray of int64, shape (k,)
        The number of the record in the store that each belongs to; records that occur in none have no bytes.
    check : {"none", "header", "pixels"}
        How far each is looked at.
    known : mapping of str to ndarray
        What is known already of the first records of the store, or of all, by the name of the array of the field. What
        packing finds out takes its place; with `check` "none" that is nothing but place, size and checksum.
    """

    spec: FieldSpec
    extents: Extents
    nbytes: npt.NDArray[np.uint32]
    record: npt.NDArray[np.int64]
    check: Check = "none"
    known: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ItemsContent:
    """The items of a field of arrays, in their order, and which of them each record has.

    Parameters
    ----------
    spec : FieldSpec
        Name, type, shape and codec.
    extents : Extents
        Where the bytes of each are.
    row : ndarray of uint32, shape (n,)
        The item of each record; `NO_ITEM` if it has none.
    is_tiff : bool
        Whether the bytes are TIFF files of two dimensions that hold the items, and not the items themselves.
    shard_nbytes : int, optional
        Wanted size of a shard, not compressed. By default all items are one shard, so that they map as one array,
        unless they are compressed.
    status : ndarray of uint8, optional
        What is known of each item already; packing finds out what is not.
    """

    spec: FieldSpec
    extents: Extents
    row: npt.NDArray[np.uint32]
    is_tiff: bool
    shard_nbytes: int | None = None
    status: npt.NDArray[np.uint8] | None = None

    @property
    def count(self) -> int:
        """Number of items."""
        return len(self.extents)


class LazyColumns(Mapping[str, WritableColumn]):
    """Columns that are made each time they are asked for, so that one of them is in memory at a time.

    Parameters
    ----------
    makers : mapping of str to callable
        Makes each column, by its name, in their order.
    """

    def __init__(self, makers: Mapping[str, Callable[[], WritableColumn]]) -> None:
        self._makers = makers

    def __getitem__(self, name: str) -> WritableColumn:
        from arraystore import _core

        # What the last one was made of.
        _core.release_memory()
        return self._makers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


@dataclass(frozen=True, slots=True)
class Content:
    """All that a store is to hold. It is the same for every source, and for every container that it is written to.

    Parameters
    ----------
    key_name : str
        Name of the key.
    keys : Strings
        Key of each record.
    fields : sequence of FieldContent or ItemsContent
        Its fields, the main one first.
    columns : callable
        Gives the columns in their order; called once, so that what they are made of need not be in memory for long.
    """

    key_name: str
    keys: Strings
    fields: Sequence[FieldContent | ItemsContent]
    columns: Callable[[], Mapping[str, WritableColumn]]

    @property
    def n(self) -> int:
        """Number of records."""
        return len(self.keys)
