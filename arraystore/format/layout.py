"""Where each record goes in `data`: pure arithmetic over sizes, done before any byte is read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CHUNK_NBYTES = 65_536
DEFAULT_SHARD_NBYTES = 268_435_456


@dataclass(frozen=True, slots=True)
class Placement:
    """Places of records in one logical byte array.

    Parameters
    ----------
    place : ndarray of uint64, shape (k,)
        First byte of each record, in the order the sizes were given.
    total_nbytes : int
        Length of the array: the end of the last record.
    shard_nbytes : int
        Bytes of payload in a shard; a multiple of `chunk_nbytes`.
    chunk_nbytes : int, default 64 KiB
        Bytes of an inner chunk.
    """

    place: npt.NDArray[np.uint64]
    total_nbytes: int
    shard_nbytes: int
    chunk_nbytes: int = CHUNK_NBYTES

    def __post_init__(self) -> None:
        if self.shard_nbytes <= 0 or self.shard_nbytes % self.chunk_nbytes:
            raise ValueError(f"shard of {self.shard_nbytes} bytes: expected a positive multiple of {self.chunk_nbytes}")

    @property
    def shard_count(self) -> int:
        """Number of shards that hold the array."""
        return -(-self.total_nbytes // self.shard_nbytes)


def place_records(nbytes: npt.ArrayLike, *, shard_nbytes: int = DEFAULT_SHARD_NBYTES) -> Placement:
    """Place records one after another, none of them across the border of two shards.

    Parameters
    ----------
    nbytes : array_like of int, shape (k,)
        Sizes in bytes, in physical order.
    shard_nbytes : int, default 256 MiB
        Wanted payload of a shard. Raised to the next multiple of 64 KiB, and so far that the largest record fits.

    Returns
    -------
    Placement

    Examples
    --------
    >>> place_records([40_000, 20_000, 30_000], shard_nbytes=65_536).place.tolist()
    [0, 40000, 65536]
    """
    sizes = np.asarray(nbytes, dtype=np.uint64)
    shard_nbytes = _fitting_shard_nbytes(sizes, shard_nbytes)
    place = np.empty(len(sizes), dtype=np.uint64)
    # With a leading zero, ends[i] is where record i would begin without any gap.
    ends = np.zeros(len(sizes) + 1, dtype=np.uint64)
    np.cumsum(sizes, out=ends[1:])
    first, shard = 0, 0
    while first < len(sizes):
        limit = int(ends[first]) + shard_nbytes
        stop = int(np.searchsorted(ends, np.uint64(limit), side="right")) - 1
        # Added before it is subtracted: an unsigned gap could pass through a negative number.
        place[first:stop] = ends[first:stop] + np.uint64(shard * shard_nbytes) - ends[first]
        first, shard = stop, shard + 1
    total_nbytes = int(place[-1]) + int(sizes[-1]) if len(sizes) else 0
    return Placement(place, total_nbytes, shard_nbytes)


def place_behind(total_nbytes: int, nbytes: npt.ArrayLike, *, shard_nbytes: int) -> Placement:
    """Place records behind those that an array has already, from the next border of two shards on.

    Parameters
    ----------
    total_nbytes : int
        Length of the array.
    nbytes : array_like of int, shape (k,)
        Sizes in bytes, in physical order; each fits in a shard.
    shard_nbytes : int
        Payload of its shards.

    Returns
    -------
    Placement

    Examples
    --------
    >>> place_behind(70_000, [40_000, 30_000], shard_nbytes=65_536).place.tolist()
    [131072, 196608]
    """
    added = place_records(nbytes, shard_nbytes=shard_nbytes)
    if added.total_nbytes == 0:
        return Placement(np.full_like(added.place, total_nbytes), total_nbytes, shard_nbytes)
    start = -(-total_nbytes // shard_nbytes) * shard_nbytes
    return Placement(added.place + np.uint64(start), start + added.total_nbytes, shard_nbytes)


def whole_items(nbytes: int, item_nbytes: int) -> int:
    """Return how many bytes a shard or a span of items has: as many whole items as fit in so many bytes, at least one.

    Examples
    --------
    >>> whole_items(1000, 300), whole_items(100, 300)
    (900, 300)
    """
    return max(nbytes // item_nbytes, 1) * item_nbytes


def _fitting_shard_nbytes(sizes: npt.NDArray[np.uint64], wanted: int) -> int:
    largest = int(sizes.max()) if len(sizes) else 0
    chunk_count = -(-max(wanted, largest, 1) // CHUNK_NBYTES)
    return chunk_count * CHUNK_NBYTES
