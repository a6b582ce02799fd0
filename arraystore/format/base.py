"""What a container of stores is to who reads it: a layout.

A container is a way to lie on disk, such as a Zarr directory. Reader and ingestion know this protocol, that of
`arraystore.format.writer`, and `arraystore.format.containers`; all else in this part is theirs to keep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from arraystore.format.columns import Column, StringColumn
    from arraystore.format.spec import StoreSpec

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


@dataclass(frozen=True, slots=True)
class StringChunks:
    """How a column of strings is read a chunk at a time: one value must not cost five million.

    Parameters
    ----------
    rows : int
        Rows in a chunk; the last may have fewer.
    read : callable
        Reads the chunk of a number, after all that it is made of was compared with its checksums.
    """

    rows: int
    read: Callable[[int], StringColumn]


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

    def string_chunks(self, name: str) -> StringChunks | None:
        """Return how a column is read in chunks; None if it is none of strings, or chunks have no checksums."""

    def files(self) -> Mapping[str, int]:
        """Return the bytes of each file of the store, by its path in it."""

    def check_files(self, advance: Advance) -> Iterator[Problem]:
        """Compare all that has a checksum in the specification with it, and the rest with what the format says.

        The records are not looked at: each has a checksum of its own, which the core compares.
        """
