"""How fast a store is read in random order, compared with Pillow on the same crops."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

import arraystore
from arraystore.errors import ArrayStoreError
from arraystore.testing.pillow import require_pillow
from arraystore.threads import thread_count

__all__ = ["Speeds", "decodable_rows", "measure"]

_BATCH_ROWS = 256
# A speed is that of the best round within this time.
_MEASURED_S = 0.7


@dataclass(frozen=True)
class Speeds:
    """What `measure` found; printed as a table.

    Attributes
    ----------
    lines : tuple of (str, int, float, float or None)
        What was done, threads, images a second, and the ratio to Pillow where it did the same.
    largest_difference : int
        Between our crops and Pillow's, of 255.
    """

    lines: tuple[tuple[str, int, float, float | None], ...]
    largest_difference: int

    def __str__(self) -> str:
        table = [f"  {'reading in random order':<33} {'threads':>7} {'images/s':>12}"]
        for what, threads, speed, ratio in self.lines:
            compared = "" if ratio is None else f"   {ratio:.1f} x Pillow"
            table.append(f"    {what:<31} {threads:>7} {speed:>12,.0f}{compared}")
        table.append(f"    largest difference to Pillow: {self.largest_difference} of 255")
        return "\n".join(table)


def decodable_rows(store: arraystore.Store, count: int) -> npt.NDArray[np.int64]:
    """Choose rows of images that can be decoded, in random order.

    Parameters
    ----------
    store : Store
        Any store.
    count : int
        How many, if there are so many.

    Returns
    -------
    ndarray of int64, shape (k,)
    """
    rows = np.random.default_rng(0).permutation(np.flatnonzero(store.status == 0))[:count]
    # Unless it was asked to, ingest looks at markers, not at pixels.
    return np.array([row for row in rows if _decodes(store, row)], np.int64)


def _decodes(store: arraystore.Store, row: np.int64) -> bool:
    try:
        store.read_boxes([row], [(0, 0, *store.sizes([row])[0])], threads=1)
    except ArrayStoreError:
        return False
    return True


def measure(store: arraystore.Store, rows: npt.NDArray[np.int64], *, size: int) -> Speeds:
    """Measure bytes, whole images and random crops, in batches, and compare the crops with Pillow's.

    Parameters
    ----------
    store : Store
        Any store.
    rows : ndarray of int64, shape (n,)
        Rows of images that can be decoded.
    size : int
        Side of the crops in pixels.

    Returns
    -------
    Speeds
    """
    batches = [rows[start : start + _BATCH_ROWS] for start in range(0, len(rows), _BATCH_ROWS)]

    def speed_of(read: Callable[[npt.NDArray[np.int64]], Any]) -> float:
        def all_batches() -> None:
            # As in training: a batch is let go of before the next but one is read.
            for batch in batches:
                read(batch)

        return len(rows) / _best_time_s(all_batches)

    def crops_with(threads: int) -> float:
        return speed_of(lambda batch: store.crops(batch, size, flip=0.5, threads=threads))

    jpegs = store.jpeg(rows)
    drawn = store.crops(rows, size, flip=0.5, return_boxes=True)
    begun = time.perf_counter()
    pillow = [_pillow_crop(*each, size) for each in zip(jpegs, drawn.boxes, drawn.flips, strict=True)]
    pillow_speed = len(rows) / (time.perf_counter() - begun)
    lines: list[tuple[str, int, float, float | None]] = [
        ("original bytes", 1, speed_of(store.jpeg), None),
        ("whole images", 1, speed_of(lambda batch: store.read(batch, threads=1)), None),
    ]
    for threads in sorted({1, thread_count()}):
        speed = crops_with(threads)
        lines.append((f"random crops, {size}x{size}", threads, speed, speed / pillow_speed))
    lines.append(("the same crops with Pillow", 1, pillow_speed, None))
    difference = max(int(np.abs(a.astype(np.int16) - b).max()) for a, b in zip(pillow, drawn.pixels, strict=True))
    return Speeds(tuple(lines), difference)


def _best_time_s(work: Callable[[], Any]) -> float:
    times: list[float] = []
    while sum(times) < _MEASURED_S:
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


def _pillow_crop(jpeg: bytes, box: npt.NDArray[np.int64], flip: np.bool_, size: int) -> npt.NDArray[np.uint8]:
    """Cut, resize and mirror one crop as torchvision does on top of Pillow."""
    image_module = require_pillow()
    top, left, height, width = box.tolist()
    picture = image_module.open(io.BytesIO(jpeg)).convert("RGB").crop((left, top, left + width, top + height))
    picture = picture.resize((size, size), image_module.Resampling.BILINEAR)
    return np.asarray(picture.transpose(image_module.Transpose.FLIP_LEFT_RIGHT) if flip else picture)
