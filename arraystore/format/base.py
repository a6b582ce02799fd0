"""What a container of stores is to the rest of arraystore: a layout that can be read, and a writer that makes one.

A container is a way to lie on disk, such as a Zarr directory. Reader and ingestion know these two protocols and
`arraystore.format.containers`; all else in this part is theirs to keep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from arraystore.format.layout import DEFAULT_SHARD_NBYTES, whole_items
from arraystore.format.spec import FieldKind, FieldSpec, StoreSpec

if TYPE_CHECKING:
    import numpy.typing as npt

    from arraystore.format.columns import Column, Texts, WritableColumn

# Group of the keys and of their index; a ragged field of texts like any other, which is none of the specification.
KEY = "key"

# Group of the data frame.
COLUMNS = "columns"

# File in the work directory by which an unfinished store is known as ours, and by which an ingest locks it.
LOCK = "lock"

# A logical byte array in pieces of equal size, as the core takes it: [(path, offset in that file)], bytes per piece,
# bytes in all. A file may go on behind its piece: padding of the last chunk, and the shard index.
Pieces: TypeAlias = tuple[list[tuple[str, int]], int, int]

# Called with the numbers of files, records or rows, and of bytes, so far.
Advance: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a store.

    Parameters
    ----------
    kind : str
        Stable name: `missing-file`, `wrong-length`, `shard-index`, `checksum`, `stray-file`, `stray-data-set`,
        `unreadable`, `document`, `record`.
    place : str
        Path in the store, or field and row.
    detail : str
        What was expected and what was found.
    """

    kind: str
    place: str
    detail: str

    def __str__(self) -> str:
        return f"{self.place}: {self.detail}"


@dataclass(frozen=True, slots=True)
class StoredItems:
    """Where the items of a field of arrays lie.

    Parameters
    ----------
    count : int
        Number of items.
    files : list of (str, int)
        File of each shard, and where in it the items begin.
    shard_items : int
        Items in a shard; the last may have fewer.
    codec : {"zstd", "blosc"} or None
        How each is compressed. If they are not, those of a shard follow one another.
    """

    count: int
    files: list[tuple[str, int]]
    shard_items: int
    codec: str | None


class Layout(Protocol):
    """A finished store: what it says of itself, and where its arrays lie.

    All methods raise FormatError for what is not as format 1 has it, and DamagedStoreError for what is not as it was
    written; nothing of a file is believed.
    """

    @property
    def path(self) -> Path:
        """Absolute path of the store."""

    @property
    def spec(self) -> StoreSpec:
        """Its description."""

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns in their order, without the key."""

    def pieces(self, array_path: str) -> Pieces:
        """Return where the bytes of an array, such as `image/offset`, lie."""

    def items(self, field: str) -> StoredItems:
        """Return where the items of a field of arrays lie."""

    def read_column(self, name: str) -> Column:
        """Read one column, after all that it is made of was compared with its checksums."""

    def files(self) -> Mapping[str, int]:
        """Return the bytes of each file of the store, by its path in it."""

    def check_files(self, advance: Advance) -> Iterator[Problem]:
        """Compare all that has a checksum in the specification with it, and the rest with what the format says.

        The records are not looked at: each has a checksum of its own, which the core compares.
        """


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
