"""Loaders of shuffled epochs that need no torch: batches of random resized crops, half of them mirrored.

Those over simplejpeg and OpenCV resize without antialiasing (`INTER_LINEAR`), which is less work; all others with it.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from peers import NotInstalledError, Task, peer
from peers.augment import Augment, shuffled

WORKS = ("epoch/random_resized_224/uint8", "epoch/random_resized_224/float32")
DECODERS = ("simplejpeg", "cv2")


def form(task: Task) -> dict[str, Any]:
    """How arraystore is asked for the batches of a task."""
    if not task.is_float:
        return {"dtype": "uint8", "layout": "NHWC"}
    return {"dtype": "float32", "layout": "NCHW", "mean": task.mean, "std": task.std}


@peer(*WORKS, name="arraystore, store.loader", needs=["arraystore"], settings="shuffle=full")
def arraystore_loader(task: Task):
    return epochs_of(task)


@peer(
    *WORKS,
    name="arraystore, with all else",
    needs=["arraystore"],
    settings="labels, barcodes, their codes and keys too",
)
def arraystore_loader_of_all(task: Task):
    columns = importlib.import_module("arraystore").open(task.store).columns
    if "species" not in columns:
        raise NotInstalledError("these images have no metadata of BIOSCAN-5M")
    return epochs_of(task, labels=("order", "species"), text=("dna_barcode", "processid"), dna=True)


def epochs_of(task: Task, **more: object):
    store = importlib.import_module("arraystore").open(task.store)
    loader = store.loader(
        task.batch_rows, crop="random_resized", size=task.size, flip=0.5, threads=task.threads, **form(task), **more
    )

    def epoch(number: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        loader.set_epoch(number)
        for batch in loader:
            yield batch["image"], batch["row"]

    return epoch


@peer(*WORKS, name="arraystore, store.crops", needs=["arraystore"], settings="a loop, into one batch")
def arraystore_crops(task: Task):
    arraystore = importlib.import_module("arraystore")
    store = arraystore.open(task.store)
    out = None

    def epoch(number: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        nonlocal out
        for rows in shuffled(task, number):
            into = None if out is None else out[: len(rows)]
            found = store.crops(rows, task.size, flip=0.5, epoch=number, out=into, threads=task.threads, **form(task))
            out = found if out is None else out
            yield found, rows

    return epoch


@peer(
    *WORKS,
    name="simplejpeg + OpenCV, threads",
    needs=DECODERS,
    settings="bytes in memory, one batch made ahead; not antialiased",
)
def thread_pool(task: Task):
    jpegs = task.items
    return _pooled(task, lambda rows: [jpegs[row] for row in rows.tolist()])


@peer(
    *WORKS,
    name="Lance + simplejpeg + OpenCV, threads",
    needs=["lance", "pyarrow", *DECODERS],
    settings="take(rows), one batch made ahead; not antialiased",
)
def lance_threads(task: Task):
    from peers.access import open_lance

    data = open_lance(task)
    return _pooled(task, lambda rows: data.take(rows.tolist(), columns=["jpeg"])["jpeg"].to_pylist())


def _pooled(task: Task, read):
    """Make batches by a pool of threads, each of which takes a stretch of a batch, one batch ahead of the loop."""
    from concurrent.futures import ThreadPoolExecutor

    augment, pool = Augment(task), ThreadPoolExecutor(task.threads)

    def fill(rows: np.ndarray, images: np.ndarray) -> None:
        for jpeg, place in zip(read(rows), images, strict=True):
            augment(jpeg, place)

    def begin(rows: np.ndarray):
        images = augment.batch(len(rows))
        starts = range(0, len(rows), 32)
        parts = [pool.submit(fill, rows[start : start + 32], images[start : start + 32]) for start in starts]
        return images, rows, parts

    def epoch(number: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        ahead = None
        for rows in [*shuffled(task, number), None]:
            begun = None if rows is None else begin(rows)
            if ahead:
                for part in ahead[2]:
                    part.result()
                yield ahead[:2]
            ahead = begun

    return epoch


@peer(
    *WORKS,
    name="SPDL",
    needs=["spdl.pipeline", *DECODERS],
    settings="Pipeline over files, simplejpeg and OpenCV in its threads; not antialiased",
)
def spdl_pipeline(task: Task):
    from spdl.pipeline import PipelineBuilder

    from peers.access import file_names

    augment, names = Augment(task), file_names(task)

    def load(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        images = augment.batch(len(rows))
        for row, place in zip(rows.tolist(), images, strict=True):
            augment(Path(names[row]).read_bytes(), place)
        return images, rows

    def epoch(number: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        builder = PipelineBuilder().add_source(shuffled(task, number)).pipe(load, concurrency=task.threads)
        pipeline = builder.add_sink(2).build(num_threads=task.threads)
        with pipeline.auto_stop():
            yield from pipeline

    return epoch


@peer(*WORKS, name="DALI on CPU", needs=["nvidia.dali"], settings="readers.file, decoders.image_random_crop, resize")
def dali(task: Task):
    from nvidia.dali import fn, pipeline_def, types

    from peers.access import file_names

    @pipeline_def(batch_size=task.batch_rows, num_threads=task.threads, device_id=None)
    def crops() -> Any:
        jpegs, rows = fn.readers.file(
            files=file_names(task),
            labels=list(range(task.count)),
            shuffle_after_epoch=True,
            pad_last_batch=True,
            name="files",
        )
        images = fn.decoders.image_random_crop(jpegs, random_area=(0.08, 1.0), random_aspect_ratio=(3 / 4, 4 / 3))
        images = fn.resize(images, size=(task.size, task.size), interp_type=types.INTERP_LINEAR, antialias=True)
        flip = fn.random.coin_flip(probability=0.5)
        if task.is_float:
            mean, std = ([255 * value for value in values] for values in (task.mean, task.std))
            return fn.crop_mirror_normalize(images, mirror=flip, mean=mean, std=std, output_layout="CHW"), rows
        return fn.flip(images, horizontal=flip), rows

    pipeline = crops()
    pipeline.build()

    def epoch(_: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, task.count, task.batch_rows):
            images, rows = pipeline.run()
            # The last batch is filled up with its last image.
            count = min(task.batch_rows, task.count - start)
            yield np.asarray(images.as_tensor())[:count], np.asarray(rows.as_tensor())[:count, 0]

    return epoch
