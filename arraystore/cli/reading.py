"""The ways to read a store that `arraystore bench` measures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

import arraystore
from arraystore.cli.speeds import decodable_rows
from arraystore.errors import InvalidRequestError

__all__ = ["Reading", "Rows", "readings", "sample"]

Rows: TypeAlias = npt.NDArray[np.int64]
Read: TypeAlias = Callable[[arraystore.Store, Rows, int], Any]


@dataclass(frozen=True)
class Reading:
    """One way.

    Attributes
    ----------
    name : str
        For the table.
    read : callable
        Reads the records of some rows of a store, in batches, with so many threads.
    read_nbytes, written_nbytes : float
        Bytes of a record in the store and in a batch, on average.
    is_threaded : bool
        Whether it makes use of more threads than one.
    """

    name: str
    read: Read
    read_nbytes: float
    written_nbytes: float
    is_threaded: bool = True


def sample(store: arraystore.Store, count: int) -> Rows:
    """Choose rows that can be read, in random order.

    Parameters
    ----------
    store : Store
        Any store.
    count : int
        How many, if there are so many.

    Returns
    -------
    ndarray of int64, shape (k,)

    Raises
    ------
    InvalidRequestError
        If there is none.
    """
    if _holds_arrays(store):
        rows = np.random.default_rng(0).permutation(np.flatnonzero(store.status == 0))[:count]
    else:
        rows = decodable_rows(store, count)
    if not len(rows):
        raise InvalidRequestError(f"{store.path}: no record can be read; arraystore verify {store.path} says why")
    return rows


def readings(store: arraystore.Store, rows: Rows, *, batch_size: int, size: int) -> list[Reading]:
    """List the ways to read a store; the last one is that of a training.

    Parameters
    ----------
    store : Store
        Of images or of arrays.
    rows : ndarray of int64, shape (n,)
        Some of its records, to tell their sizes.
    batch_size : int
        Records of a batch.
    size : int
        Side of the crops of images in pixels.

    Returns
    -------
    list of Reading
    """
    if _holds_arrays(store):
        return _of_arrays(store, rows, batch_size)
    return _of_images(store, rows, batch_size, size)


def _holds_arrays(store: arraystore.Store) -> bool:
    return bool(store.info()["arrays"])


def _of_images(store: arraystore.Store, rows: Rows, batch_size: int, size: int) -> list[Reading]:
    def crops(store: arraystore.Store, batch: Rows, threads: int) -> None:
        store.crops(batch, size, flip=0.5, threads=threads)

    def loader(store: arraystore.Store, rows: Rows, threads: int) -> None:
        _exhaust(store.select(rows).loader(batch_size, crop="random_resized", size=size, flip=0.5, threads=threads))

    jpeg = store.info()["nbytes"]["image"] / len(store)
    pixels = float(3 * store.sizes(rows).prod(axis=1).mean())
    crop = 3 * size * size
    in_batches = _in_batches(batch_size)
    return [
        Reading("original bytes", in_batches(lambda store, batch, _: store.jpeg(batch)), jpeg, jpeg, is_threaded=False),
        Reading(
            "whole images", in_batches(lambda store, batch, threads: store.read(batch, threads=threads)), jpeg, pixels
        ),
        Reading(f"random crops, {size}x{size}", in_batches(crops), jpeg, crop),
        Reading(f"loader, crops of {size}x{size}", loader, jpeg, crop),
    ]


def _of_arrays(store: arraystore.Store, rows: Rows, batch_size: int) -> list[Reading]:
    out = store.arrays(rows[:batch_size])

    def arrays(*, verify: bool) -> Callable[[arraystore.Store, Rows, int], None]:
        def read(store: arraystore.Store, batch: Rows, threads: int) -> None:
            place = {name: array[: len(batch)] for name, array in out.items()}
            store.arrays(batch, out=place, verify=verify, threads=threads)

        return _in_batches(batch_size)(read)

    def loader(store: arraystore.Store, rows: Rows, threads: int) -> None:
        _exhaust(store.select(rows).loader(batch_size, flip=0.5, threads=threads))

    written = float(sum(array[0].nbytes for array in out.values()))
    stored = sum(store.info()["nbytes"].values()) / len(store)
    return [
        Reading("arrays, not compared", arrays(verify=False), stored, written),
        Reading("arrays, with checksums", arrays(verify=True), stored, written),
        Reading("loader, mirrored at random", loader, stored, written),
    ]


def _in_batches(batch_size: int) -> Callable[[Read], Read]:
    """Make what reads one batch read all rows."""

    def batched(read: Read) -> Read:
        def read_all(store: arraystore.Store, rows: Rows, threads: int) -> None:
            for start in range(0, len(rows), batch_size):
                read(store, rows[start : start + batch_size], threads)

        return read_all

    return batched


def _exhaust(batches: Iterable[object]) -> None:
    for _ in batches:
        pass
