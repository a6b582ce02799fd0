"""The plan of an ingest: which record each image becomes, before any byte is read."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from arraystore.errors import DuplicateKeyError, SourceError
from arraystore.sources.archive import column, concatenate
from arraystore.sources.base import ImageSet
from arraystore.sources.tables import MetadataTable

if TYPE_CHECKING:
    from arraystore._core import Strings

Rows = Literal["all", "images"]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of every image and of every row of the table.

    Records are in the order of the table, then those without a row in the order of the source. Bytes are in the order
    of the source, so that it is read from its beginning to its end.

    Parameters
    ----------
    keys : Strings
        Key of each record.
    table_row : ndarray of int64, shape (n,)
        Row of the table of each record, -1 if it has none.
    image : ndarray of int64, shape (k,)
        Index in the image set of each image that is kept, ascending.
    record : ndarray of int64, shape (k,)
        The record that each of these becomes.
    merged : ndarray of int64, shape (m, 2)
        Images with the key and the bytes of another: the one that is kept, the one that is not.
    split_mismatch : ndarray of int64
        Records whose path tells another split than the table.
    unknown_split : ndarray of int64
        Records with a split in the table that the publisher does not know.
    rows_left_out : int
        Rows of the table that were left out because they have no image (`rows="images"`).
    """

    keys: Strings
    table_row: Indices
    image: Indices
    record: Indices
    merged: Indices
    split_mismatch: Indices
    unknown_split: Indices
    rows_left_out: int

    @property
    def n(self) -> int:
        """Number of records."""
        return len(self.table_row)

    @property
    def has_image(self) -> npt.NDArray[np.bool_]:
        """Whether each record has an image."""
        found = np.zeros(self.n, bool)
        found[self.record] = True
        return found


def make_plan(
    images: ImageSet,
    metadata: MetadataTable | None,
    *,
    image_keys: Strings,
    key: str = "processid",
    rows: Rows = "all",
    known_splits: Collection[str] = (),
) -> Plan:
    """Join images and table by key.

    Parameters
    ----------
    images : ImageSet
        The images of one package.
    metadata : MetadataTable or None
        Its table, if there is one.
    image_keys : Strings
        Key of each image, as its source gives it.
    key : str, default "processid"
        Key column of the table.
    rows : {"all", "images"}
        Whether rows of the table without an image are kept.
    known_splits : collection of str
        The publisher's splits; none if there are none.

    Returns
    -------
    Plan

    Raises
    ------
    DuplicateKeyError
        If two images of one key differ, or two rows of the table have the same key. Images are read only if their key
        occurs twice.
    SourceError
        If a row of the table has no key, no image has a row in the table, or an image has 4 GiB or more.
    """
    _check_nbytes(images)
    image, merged = _distinct_images(images, image_keys)
    match = np.full(len(image), -1, np.int64)
    table_keys = None
    if metadata is not None:
        table_keys = metadata.table.strings(key)
        check_table_keys(metadata, table_keys, key)
        match = _match(table_keys, _take(image_keys, image))
        _check_any_match(metadata, table_keys, image_keys, match, key)
    table_row, record, left_out = _number_records(match, 0 if metadata is None else len(metadata), rows)
    return Plan(
        keys=_record_keys(table_keys, table_row, _take(image_keys, image[match < 0])),
        table_row=table_row,
        image=image,
        record=record,
        merged=merged,
        split_mismatch=_split_mismatch(images, metadata, image, match, record),
        unknown_split=_unknown_split(metadata, table_row, known_splits),
        rows_left_out=left_out,
    )


def _check_nbytes(images: ImageSet) -> None:
    nbytes = images.nbytes
    if len(nbytes) and int(nbytes.max()) > np.iinfo(np.uint32).max:
        path = images.path(int(nbytes.argmax()))
        raise SourceError(f"{path}: {int(nbytes.max()):,} bytes; an image may have up to 4 GiB", "too-large")


def _distinct_images(images: ImageSet, keys: Strings) -> tuple[Indices, Indices]:
    pairs = _duplicates(keys)
    nbytes = images.nbytes
    for kept, other in pairs.tolist():
        if nbytes[kept] != nbytes[other] or _bytes(images, kept) != _bytes(images, other):
            raise DuplicateKeyError(
                f"two different images have the key {keys[kept]!r}: {images.path(kept)} and {images.path(other)}; "
                "ingest their folders or packages one at a time, or remove one of the two if both are of the same"
            )
    return np.delete(np.arange(len(images)), pairs[:, 1]), pairs


def _bytes(images: ImageSet, image: int) -> bytes:
    return images.members.read(int(images.indices[image]))


def check_table_keys(metadata: MetadataTable, keys: Strings, key: str) -> None:
    """Check that each row of a table has a key of its own.

    Parameters
    ----------
    metadata : MetadataTable
        The table.
    keys : Strings
        Its keys.
    key : str
        What they are called.

    Raises
    ------
    SourceError
        If a row has none.
    DuplicateKeyError
        If two rows have the same.
    """
    empty = np.flatnonzero(np.diff(column(keys.offsets, np.uint64)) == 0)
    if len(empty):
        raise SourceError(f"{metadata.path}: {metadata.place(int(empty[0]))} has no {key}", "no-key")
    pairs = _duplicates(keys)
    if len(pairs):
        first, other = pairs[0]
        raise DuplicateKeyError(
            f"{metadata.path}: {key} {keys[int(first)]!r} stands on {metadata.place(int(first))} and on "
            f"{metadata.place(int(other))}"
        )


def _check_any_match(
    metadata: MetadataTable, table_keys: Strings, image_keys: Strings, match: Indices, key: str
) -> None:
    if len(table_keys) and len(match) and not (match >= 0).any():
        raise SourceError(
            f"{metadata.path}: none of the {len(match):,} images has a row in this table: its first {key} is "
            f"{table_keys[0]!r}, the first image is {image_keys[0]!r}. Name the table of these images with --metadata, "
            "or the column that names them with --key",
            "no-key-matches",
        )


def _number_records(match: Indices, table_length: int, rows: Rows) -> tuple[Indices, Indices, int]:
    """Return the table row of each record, the record of each image, and how many rows are left out."""
    if rows == "all":
        kept = np.arange(table_length)
    else:
        kept = np.unique(match[match >= 0])
    is_extra = match < 0
    table_row = np.concatenate([kept, np.full(int(is_extra.sum()), -1, np.int64)])
    record_of_row = np.full(table_length + 1, -1, np.int64)
    record_of_row[kept] = np.arange(len(kept))
    record = np.where(is_extra, len(kept) + np.cumsum(is_extra) - 1, record_of_row[match])
    return table_row, record, table_length - len(kept)


def _split_mismatch(
    images: ImageSet, metadata: MetadataTable | None, image: Indices, match: Indices, record: Indices
) -> Indices:
    if metadata is None or not metadata.has("split") or "split" not in images.labels:
        return np.zeros(0, np.int64)
    of_path = images.labels["split"]
    names = list(of_path.categories)
    # Codes of the table in terms of the codes of the paths; -2 is a split that no path tells.
    categories = metadata.table.categories("split")
    recode = np.array([*(names.index(name) if name in names else -2 for name in categories), -1], np.int64)
    told = of_path.codes[image]
    is_known = (match >= 0) & (told >= 0)
    tabled = recode[column(metadata.table.codes("split"), np.int32)[match[is_known]]]
    return np.sort(record[is_known][tabled != told[is_known]])


def _unknown_split(metadata: MetadataTable | None, table_row: Indices, known: Collection[str]) -> Indices:
    if metadata is None or not known or not metadata.has("split"):
        return np.zeros(0, np.int64)
    # One more entry than categories: code -1, a missing split, finds False at the end.
    is_unknown = np.array([*(name not in known for name in metadata.table.categories("split")), False], bool)
    if not is_unknown.any():
        return np.zeros(0, np.int64)
    codes = np.append(column(metadata.table.codes("split"), np.int32), np.int32(-1))
    return np.flatnonzero(is_unknown[codes[table_row]])


# ---- keys, which the core holds and compares ----


def _duplicates(keys: Strings) -> Indices:
    from arraystore import _core

    pairs = column(_core.index_keys(keys)[2], np.uint32).astype(np.int64).reshape(-1, 2)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _match(keys: Strings, wanted: Strings) -> Indices:
    from arraystore import _core

    return column(_core.match_keys(keys, wanted), np.int64)


def _take(keys: Strings, indices: Indices) -> Strings:
    return keys.take(indices.astype(np.uint64))


def _record_keys(table_keys: Strings | None, table_row: Indices, extra: Strings) -> Strings:
    if table_keys is None:
        return extra
    if len(table_row) == len(table_keys) and not len(extra):
        # Every row is a record, in the same order.
        return table_keys
    return concatenate(_take(table_keys, table_row[table_row >= 0]), extra)
