"""What makes a store in a container, and what it is told of that store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from arraystore.format.base import Layout
from arraystore.format.columns import Texts, WritableColumn
from arraystore.format.layout import DEFAULT_SHARD_NBYTES, whole_items
from arraystore.format.spec import FieldKind, FieldSpec, StoreSpec


@dataclass(frozen=True, slots=True)
class DataForm:
    """The `data` array of a field or of the keys, as it is to be written.

    Parameters
    ----------
    kind : {"jpeg", "text", "array"}
        What one record holds.
    total_nbytes : int
        Length of the array in bytes, not compressed.
    shard_nbytes : int
        Bytes of payload in a shard, not compressed; no record straddles two of them.
    item : FieldSpec, optional
        Of a field of arrays, what all items have in common.
    """

    kind: FieldKind
    total_nbytes: int
    shard_nbytes: int
    item: FieldSpec | None = None

    @property
    def count(self) -> int | None:
        """Number of items of a field of arrays."""
        return None if self.item is None else self.total_nbytes // self.item.item_nbytes

    @property
    def span_nbytes(self) -> int:
        """Bytes that are kept once they are finished, where the array is written into one file."""
        wanted = min(self.shard_nbytes, DEFAULT_SHARD_NBYTES)
        return self.shard_nbytes if self.item is None else whole_items(wanted, self.item.item_nbytes)


@dataclass(frozen=True, slots=True)
class Frame:
    """The data frame of columns, as it is to be written.

    Parameters
    ----------
    index_name : str
        Name of the index: the key of the store.
    index : Texts or ndarray of str
        Key of every record.
    columns : mapping of str to WritableColumn
        Columns in their order, each as long as the index.
    """

    index_name: str
    index: Texts | npt.NDArray[Any]
    columns: Mapping[str, WritableColumn]


@dataclass(frozen=True, slots=True)
class ShardFiles:
    """A directory that the core fills with a file for each shard, each under a temporary name first.

    Parameters
    ----------
    directory : Path
        Directory of the shards.
    chunk_nbytes : int
        Bytes of payload in an inner chunk.
    first_shard : int, default 0
        Shards before it are there already, and are left alone.
    """

    directory: Path
    chunk_nbytes: int
    first_shard: int = 0

    def options(self) -> dict[str, Any]:
        """Return the arguments of `_core.pack` that say so."""
        first = {"first_shard": self.first_shard} if self.first_shard else {}
        return {"directory": str(self.directory), "chunk_nbytes": self.chunk_nbytes, **first}


@dataclass(frozen=True, slots=True)
class FileSpan:
    """A run of bytes in a file that is there, which the core fills part by part.

    Parameters
    ----------
    file : Path
        The file.
    offset : int
        Where in it the array begins.
    """

    file: Path
    offset: int

    def options(self) -> dict[str, Any]:
        """Return the arguments of `_core.pack` that say so."""
        return {"file": str(self.file), "offset": self.offset}


@dataclass(frozen=True, slots=True)
class PackTarget:
    """Where the core writes the bytes of a `data` array, shard by shard.

    Parameters
    ----------
    place : ShardFiles or FileSpan
        Where.
    total_nbytes : int
        Length of the array.
    shard_nbytes : int
        Bytes of payload in a shard, which is kept once it is finished.
    """

    place: ShardFiles | FileSpan
    total_nbytes: int
    shard_nbytes: int


class StoreWriter(Protocol):
    """A store in the making: `begin`, then for each field and for the keys `target` and `write_index`, then `commit`.

    Between the two, `seal` for a field of arrays.

    It is finished by `commit` and by nothing before it. A writer is made for the same path again after an
    interruption; shards that are packed stay, all else is written again.
    """

    @property
    def path(self) -> Path:
        """Absolute path of the store."""

    @property
    def work_directory(self) -> Path:
        """Directory for what only an unfinished store needs: its plan, its lock, journals and spilled texts."""

    @property
    def has_codecs(self) -> bool:
        """Whether the items of fields of arrays may be compressed."""

    def is_finished(self) -> bool:
        """Tell whether a store stands here that was committed."""

    def check_place(self) -> None:
        """Raise FormatError if something stands here that is neither a store nor the beginning of one."""

    def clear(self) -> None:
        """Remove the store, finished or not, but for its work directory; what makes it finished goes first."""

    def begin(self, n: int, data: Mapping[str, DataForm], frame: Frame) -> None:
        """Lay out the store, all of whose sizes are known, and write its columns.

        Parameters
        ----------
        n : int
            Number of records.
        data : mapping of str to DataForm
            The `data` array of each field by its name, and of the keys by `KEY`.
        frame : Frame
            The columns.
        """

    def target(self, group: str) -> PackTarget:
        """Return where the core packs the `data` array of a field, or of the keys."""

    def seal(self, group: str, *, threads: int) -> None:
        """Finish the `data` array of a field of arrays, once all of it is packed: compress it if that is wanted."""

    def write_index(self, group: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Write arrays of a field or of the keys that have one number for each record, or for each item."""

    def commit(self, spec: StoreSpec) -> None:
        """Finish the store: note the checksums, sync all to disk, and write what makes it a store last.

        Parameters
        ----------
        spec : StoreSpec
            Its description; `checksums` are added here.
        """


class GrowingStore(StoreWriter, Protocol):
    """A finished store to which records are added: a `StoreWriter` of its next state.

    The `data` of its fields grow; index arrays, keys and columns are written whole and new. Nothing that the present
    state consists of is changed until `commit`, and it can be read after it.
    """

    @property
    def base(self) -> Layout:
        """The present state."""

    @property
    def existing(self) -> Mapping[str, DataForm]:
        """The `data` array of each field as it is; what is added begins at its next border of two shards."""

    def remove_older(self) -> None:
        """Remove the states before the last one, once the new one is committed."""
