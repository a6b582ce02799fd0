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
Round: TypeAlias = Callable[[], None]
Begin: TypeAlias = Callable[[arraystore.Store, Rows, int], Round]


@dataclass(frozen=True)
class Reading:
    """One way.

    Attributes
    ----------
    name : str
        For the table.
    begin : callable
        For a store, rows and threads, makes what reads all of them in batches, again and again into the same memory.
        That is written to first, so that no round waits for its pages.
    read_nbytes, written_nbytes : float
        Bytes of a record in the store and in a batch, on average; what several of them share is in the store once.
    is_threaded : bool
        Whether it makes use of more threads than one.
    """

    name: str
    begin: Begin
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
    """List the ways to read a store; the last one is what the head-room is measured of.

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
    def crops(store: arraystore.Store, rows: Rows, threads: int) -> Round:
        out = np.ones((batch_size, size, size, 3), np.uint8)
        return _in_batches(
            rows, batch_size, lambda some: store.crops(some, size, flip=0.5, out=out[: len(some)], threads=threads)
        )

    def loader(store: arraystore.Store, rows: Rows, threads: int) -> Round:
        return _epochs(
            store.select(rows).loader(batch_size, crop="random_resized", size=size, flip=0.5, threads=threads)
        )

    jpeg = _stored_nbytes(store, rows, "jpeg")
    pixels = float(3 * store.sizes(rows).prod(axis=1).mean())
    crop = 3 * size * size
    return [
        Reading(
            "original bytes",
            lambda store, rows, _: _in_batches(rows, batch_size, store.jpeg),
            jpeg,
            jpeg,
            is_threaded=False,
        ),
        Reading(
            "whole images",
            lambda store, rows, threads: _in_batches(rows, batch_size, lambda some: store.read(some, threads=threads)),
            jpeg,
            pixels,
        ),
        Reading(f"loader, crops of {size}x{size}", loader, jpeg, crop),
        Reading(f"random crops, {size}x{size}", crops, jpeg, crop),
    ]


def _of_arrays(store: arraystore.Store, rows: Rows, batch_size: int) -> list[Reading]:
    # By name: of a store with one field, `arrays` gives the array alone, yet it takes a mapping of any number.
    firsts = {name: store.arrays(rows[:1], field=name) for name in store.info()["arrays"]}
    shapes = {name: (array.shape[1:], array.dtype) for name, array in firsts.items()}

    def arrays(*, verify: bool) -> Begin:
        def begin(store: arraystore.Store, rows: Rows, threads: int) -> Round:
            out = {name: np.ones((batch_size, *shape), dtype) for name, (shape, dtype) in shapes.items()}

            def read(some: Rows) -> None:
                place = {name: array[: len(some)] for name, array in out.items()}
                store.arrays(some, out=place, verify=verify, threads=threads)

            return _in_batches(rows, batch_size, read)

        return begin

    def loader(store: arraystore.Store, rows: Rows, threads: int) -> Round:
        return _epochs(store.select(rows).loader(batch_size, flip=0.5, threads=threads))

    written = float(sum(np.prod(shape) * dtype.itemsize for shape, dtype in shapes.values()))
    stored = _stored_nbytes(store, rows, "array")
    return [
        Reading("loader, mirrored at random", loader, stored, written),
        Reading("arrays, not compared", arrays(verify=False), stored, written),
        Reading("arrays, with checksums", arrays(verify=True), stored, written),
    ]


def _stored_nbytes(store: arraystore.Store, rows: Rows, kind: str) -> float:
    """Return the bytes of the fields of a kind for a record, on average of those that are read."""
    # Others may have none: a table is often longer than the images that are there.
    info = store.select(rows).info()
    return sum(nbytes for name, nbytes in info.nbytes.items() if info.fields[name] == kind) / len(rows)


def _in_batches(rows: Rows, batch_size: int, read: Callable[[Rows], Any]) -> Round:
    def all_batches() -> None:
        for start in range(0, len(rows), batch_size):
            read(rows[start : start + batch_size])

    return all_batches


def _epochs(batches: Iterable[object]) -> Round:
    # The same loader each time: its memory is that of the epoch before.
    def epoch() -> None:
        for _ in batches:
            pass

    return epoch
