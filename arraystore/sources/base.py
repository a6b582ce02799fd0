"""What every source gives to ingest: a list of images, each with its key, its place and what its path tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from arraystore.errors import InvalidRequestError
from arraystore.sources.archive import column

if TYPE_CHECKING:
    from arraystore._core import Members, Strings
    from arraystore.sources.extra_tables import ExtraTable
    from arraystore.sources.tables import MetadataTable, TableDialect


@dataclass(frozen=True, slots=True)
class Skipped:
    """Files that are no images of the package, all for the same reason.

    Parameters
    ----------
    reason : str
        Such as `hidden` or `not-an-image`.
    indices : ndarray of int64
        Index of each in the members.
    is_listed : bool
        Whether they belong on the list of troubles one by one; files of another package don't.
    """

    reason: str
    indices: npt.NDArray[np.int64]
    is_listed: bool = True


@dataclass(frozen=True, slots=True)
class PathLabels:
    """What the path of each image says under one name, such as its split.

    Parameters
    ----------
    codes : ndarray of int32, shape (k,)
        Index into `categories` for each image, -1 where the path does not say.
    categories : tuple of str
        The different values.
    """

    codes: npt.NDArray[np.int32]
    categories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImageSet:
    """The images of one package, in the physical order of the source.

    Parameters
    ----------
    members : Members
        All files that were scanned.
    package : str
        Publisher's name of the package.
    indices : ndarray of int64, shape (k,)
        Index in `members` of each image, ascending.
    labels : dict of str to PathLabels
        What the paths say, by column name.
    unusable : tuple of (str, str)
        Path and reason of each file that should be an image, but cannot be read from the source.
    skipped : tuple of Skipped
        The members that are no images of the package.
    """

    members: Members
    package: str
    indices: npt.NDArray[np.int64]
    labels: dict[str, PathLabels]
    unusable: tuple[tuple[str, str], ...]
    skipped: tuple[Skipped, ...]

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def stems(self) -> Strings:
        """Name of the file of each image, without its suffix."""
        if len(self.indices) == len(self.members):
            # All of them, since indices ascend.
            return self.members.stems
        return self.members.stems.take(self.indices.astype(np.uint64))

    @property
    def nbytes(self) -> npt.NDArray[np.uint64]:
        """Size of each image in bytes."""
        return column(self.members.nbytes, np.uint64)[self.indices]

    def path(self, image: int) -> str:
        """Return the whole path of an image, for messages."""
        return self.members.path(int(self.indices[image]))

    def skipped_paths(self) -> Iterator[tuple[str, str]]:
        """Yield reason and path of each skipped file that belongs on the list of troubles."""
        return _skipped_paths(self.members, self.unusable, self.skipped)


def _skipped_paths(
    members: Members, unusable: Sequence[tuple[str, str]], skipped: Sequence[Skipped]
) -> Iterator[tuple[str, str]]:
    told = set(unusable)
    yield from ((reason, path) for path, reason in members.skipped if (path, reason) not in told)
    for group in skipped:
        if group.is_listed:
            for index in group.indices.tolist():
                yield group.reason, members.path(index)


def check_published_key(source: Source, key: str | None) -> None:
    """Refuse another key column than that of the publisher.

    Parameters
    ----------
    source : Source
        Whose tables have one key.
    key : str or None
        The column that was asked for.

    Raises
    ------
    InvalidRequestError
        If it is not the publisher's.
    """
    if key not in (None, source.key):
        raise InvalidRequestError(
            f"key {key!r}: the images of {source.dataset} are known by their {source.key}; leave the key out"
        )


class Source(Protocol):
    """A publisher's layout of files: the seam at which further data sets are added."""

    @property
    def dataset(self) -> str:
        """Publisher's name of the data set."""

    @property
    def key(self) -> str:
        """Name of the key, which joins images and table."""

    @property
    def field(self) -> str:
        """Name of the field that the images become; columns of long texts become fields of their own names."""

    @property
    def table(self) -> TableDialect:
        """How the published table is written, and what its columns are."""

    @property
    def splits(self) -> Mapping[str, tuple[str, ...]]:
        """For each name of a split, meta-split or alias, the splits that it stands for; empty if there are none."""

    def recognises(self, members: Members) -> bool:
        """Tell whether the files lie as in this layout."""

    def images(self, members: Members, *, package: str | None = None) -> ImageSet:
        """Tell the images among all files, all of one package."""

    def for_table(self, path: Path, *, key: str | None = None) -> Source:
        """Return this source as it reads one table: itself, if all its tables are of one kind."""

    def image_keys(self, images: ImageSet, table: MetadataTable | None) -> Strings:
        """Return the key of each image: the name of its file, or what the table has for that name."""

    def find_table(self, paths: Sequence[Path]) -> Path | None:
        """Look for the published table in its place relative to the sources."""

    def find_extra_tables(self, table: Path) -> Sequence[Path]:
        """Look for what is published beside the table."""

    def extra_table(self, path: Path, *, spill: Path) -> ExtraTable:
        """Read a further table, to be joined to the first."""


@dataclass(frozen=True, slots=True)
class PatchField:
    """The patches of one field, and which of them each record has.

    Parameters
    ----------
    name : str
        Name of the field.
    indices : ndarray of int64, shape (m,)
        Index in the members of each patch, in the order of the records.
    row : ndarray of uint32, shape (n,)
        The patch of each record; 2^32 - 1 if it has none.
    """

    name: str
    indices: npt.NDArray[np.int64]
    row: npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class PatchSet:
    """The patches of one package, several to a record.

    Parameters
    ----------
    members : Members
        All files that were scanned.
    package : str
        Publisher's name of the package.
    keys : Strings
        Key of each record.
    fields : tuple of PatchField
        The fields, the main one first.
    split : PathLabels
        Split of each record.
    level : ndarray of int16, shape (n,)
        Level of each record, 0 if it has none.
    stems : Strings
        Name of the file of each record, without its suffix.
    merged : sequence of (int, int)
        Members with the place and the bytes of another: the one that is kept, the one that is not.
    unusable : tuple of (str, str)
        Path and reason of each file that should be a patch, but cannot be read from the source.
    skipped : tuple of Skipped
        The members that are no patches of the package.
    """

    members: Members
    package: str
    keys: Strings
    fields: tuple[PatchField, ...]
    split: PathLabels
    level: npt.NDArray[np.int16]
    stems: Strings
    merged: Sequence[tuple[int, int]]
    unusable: tuple[tuple[str, str], ...]
    skipped: tuple[Skipped, ...]

    @property
    def indices(self) -> npt.NDArray[np.int64]:
        """Index in the members of every patch."""
        return np.concatenate([each.indices for each in self.fields])

    def skipped_paths(self) -> Iterator[tuple[str, str]]:
        """Yield reason and path of each skipped file that belongs on the list of troubles."""
        return _skipped_paths(self.members, self.unusable, self.skipped)


@runtime_checkable
class PatchSource(Protocol):
    """A publisher's layout of files that are patches, several to a record. Their paths tell all that is known."""

    @property
    def dataset(self) -> str:
        """Publisher's name of the data set."""

    @property
    def key(self) -> str:
        """Name of the key."""

    @property
    def splits(self) -> Mapping[str, tuple[str, ...]]:
        """For each name of a split or alias, the splits that it stands for."""

    def recognises(self, members: Members) -> bool:
        """Tell whether the files lie as in this layout."""

    def patches(self, members: Members, *, package: str | None = None) -> PatchSet:
        """Tell the patches among all files, all of one package, and which belong together."""


@runtime_checkable
class BringsTable(Protocol):
    """A source whose files hold the table too; one that is named only completes it."""

    def write_table(self, images: ImageSet, directory: Path) -> Path:
        """Write the table of the files as text."""

    def own_extras(self, images: ImageSet, table: MetadataTable) -> Sequence[ExtraTable]:
        """Return what else the files tell of the records."""
