"""The same random resized crops by each, one thread: into a batch that is used again. Boxes and flips are given."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable
from typing import Any

import numpy as np

from peers import Task, peer

WORK = "crops/random_resized_224/one thread"


def drawn(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and flips, drawn once by arraystore for all."""

    def write(path: Any) -> None:
        with importlib.import_module("arraystore").open(task.store) as store:
            found = store.crops(range(task.count), task.size, flip=0.5, return_boxes=True)
        with path.open("wb") as file:
            np.savez(file, boxes=found.boxes, flips=found.flips)

    with np.load(task.made(f"boxes-{task.size}.npz", write)) as found:
        return found["boxes"], found["flips"]


def batch(task: Task) -> np.ndarray:
    return np.empty((task.batch_rows, task.size, task.size, 3), np.uint8)


def one_by_one(task: Task, cut: Callable[[int], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """Make what cuts one row a reader of batches."""
    flips, out = drawn(task)[1], batch(task)

    def read(rows: np.ndarray) -> np.ndarray:
        for place, row in enumerate(rows.tolist()):
            image = cut(row)
            out[place] = image[:, ::-1] if flips[row] else image
        return out[: len(rows)]

    return read


@peer(WORK, name="arraystore", needs=["arraystore"], settings="crops(rows, out=)", tolerance=1)
def arraystore_crops(task: Task):
    store, out = importlib.import_module("arraystore").open(task.store), batch(task)
    drawn(task)
    return lambda rows: store.crops(rows, task.size, flip=0.5, out=out[: len(rows)], threads=1)


@peer(
    WORK,
    name="simplejpeg + OpenCV",
    needs=["simplejpeg", "cv2"],
    settings="INTER_LINEAR, not antialiased",
    tolerance=255,
)
def simplejpeg_opencv(task: Task):
    import cv2
    import simplejpeg

    cv2.setNumThreads(1)
    boxes, jpegs, size = drawn(task)[0].tolist(), task.items, (task.size, task.size)

    def cut(row: int) -> np.ndarray:
        top, left, height, width = boxes[row]
        image = simplejpeg.decode_jpeg(jpegs[row])[top : top + height, left : left + width]
        return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)

    return one_by_one(task, cut)


@peer(WORK, name="Pillow", needs=["PIL.Image", "PIL.JpegImagePlugin"], settings="crop, resize BILINEAR")
def pillow(task: Task):
    from PIL import Image

    boxes, jpegs, size = drawn(task)[0].tolist(), task.items, (task.size, task.size)

    def cut(row: int) -> np.ndarray:
        top, left, height, width = boxes[row]
        image = Image.open(io.BytesIO(jpegs[row])).convert("RGB").crop((left, top, left + width, top + height))
        return np.asarray(image.resize(size, Image.Resampling.BILINEAR))

    return one_by_one(task, cut)
