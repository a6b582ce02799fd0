"""Reading compared with other libraries, in one run, each checked to read the same pixels.

    python benches/compare.py [SOURCE] [--images 4000] [--rounds 9] [--json FILE] [--plot FILE]

SOURCE is a BIOSCAN-5M image folder or zip of one package; without it, a synthetic package is made. Everything is read
once before, so that it is in the page cache. Batches are of 256 random rows.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import h5py
import numpy as np
import simplejpeg
import zarr
from PIL import Image
from rounds import Case, measure, plot, table, write_json

import arraystore
from arraystore.testing import make_bioscan5m

BATCH_ROWS = 256
SIZE = 224
OURS = "arraystore"


def contenders_for_decode(store: arraystore.Store, jpegs: list[bytes]) -> list[Case]:
    work = "decode/full/one thread"
    cases = [
        Case(work, OURS, lambda rows: store.read(rows, threads=1)),
        Case(work, "simplejpeg", lambda rows: [simplejpeg.decode_jpeg(jpegs[row]) for row in rows]),
        Case(work, "OpenCV", lambda rows: [decode_with_opencv(jpegs[row]) for row in rows]),
        Case(work, "Pillow", lambda rows: [decode_with_pillow(jpegs[row]) for row in rows]),
    ]
    rows = np.arange(min(64, len(jpegs)))
    expected = cases[-1].run(rows)
    for case in cases:
        # OpenCV's own libjpeg-turbo is of another version, but decodes alike.
        same = all(np.array_equal(found, image) for found, image in zip(case.run(rows), expected, strict=True))
        assert same, f"{case.contender} reads other pixels than Pillow"
    return cases


def decode_with_pillow(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


def decode_with_opencv(jpeg: bytes) -> np.ndarray:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


class Crops:
    """The same random resized crops from every contender, into a batch that is used again."""

    def __init__(self, store: arraystore.Store, jpegs: list[bytes]) -> None:
        self.store, self.jpegs = store, jpegs
        self.out = np.empty((BATCH_ROWS, SIZE, SIZE, 3), np.uint8)
        _, self.boxes, self.flips = store.crops(range(len(jpegs)), size=SIZE, flip=0.5, return_boxes=True)

    def with_arraystore(self, rows: np.ndarray, threads: int) -> np.ndarray:
        return self.store.crops(rows, size=SIZE, flip=0.5, out=self.out[: len(rows)], threads=threads)

    def with_opencv(self, rows: np.ndarray) -> np.ndarray:
        for place, row in enumerate(rows):
            top, left, height, width = self.boxes[row]
            image = simplejpeg.decode_jpeg(self.jpegs[row])[top : top + height, left : left + width]
            image = cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
            self.out[place] = image[:, ::-1] if self.flips[row] else image
        return self.out[: len(rows)]

    def with_pillow(self, rows: np.ndarray) -> np.ndarray:
        for place, row in enumerate(rows):
            top, left, height, width = self.boxes[row].tolist()
            image = Image.open(io.BytesIO(self.jpegs[row])).convert("RGB").crop((left, top, left + width, top + height))
            image = np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR))
            self.out[place] = image[:, ::-1] if self.flips[row] else image
        return self.out[: len(rows)]


def contenders_for_crops(store: arraystore.Store, jpegs: list[bytes]) -> list[Case]:
    crops, work = Crops(store, jpegs), "crops/random_resized_224/one thread"
    rows = np.arange(min(64, len(jpegs)))
    difference = crops.with_arraystore(rows, 1).astype(int) - crops.with_pillow(rows).copy().astype(int)
    assert np.abs(difference).max() <= 1, "crops differ from Pillow's by more than 1"
    return [
        Case(work, OURS, lambda rows: crops.with_arraystore(rows, 1)),
        Case(work, "simplejpeg + OpenCV", crops.with_opencv),
        Case(work, "Pillow", crops.with_pillow),
    ]


def contenders_for_threads(store: arraystore.Store, jpegs: list[bytes]) -> list[Case]:
    crops, alone = Crops(store, jpegs), "arraystore, one thread"
    pool = ThreadPoolExecutor(2)

    def pooled(rows: np.ndarray) -> list[np.ndarray]:
        return list(pool.map(lambda row: simplejpeg.decode_jpeg(jpegs[row]), rows))

    # The last tells what two threads are worth on this machine just now: virtual cores may share a real one.
    return [
        Case("decode/full/two threads", OURS, lambda rows: store.read(rows, threads=2)),
        Case("decode/full/two threads", alone, lambda rows: store.read(rows, threads=1)),
        Case("decode/full/two threads", "simplejpeg, a pool of two", pooled),
        Case("crops/random_resized_224/two threads", OURS, lambda rows: crops.with_arraystore(rows, 2)),
        Case(
            "crops/random_resized_224/two threads",
            "arraystore, one thread",
            lambda rows: crops.with_arraystore(rows, 1),
        ),
    ]


def contenders_for_bytes(store: arraystore.Store, jpegs: list[bytes], folder: Path) -> list[Case]:
    offset = np.cumsum([0, *map(len, jpegs)])
    flat = h5py.File(folder / "flat.h5", "w").create_dataset("data", data=np.frombuffer(b"".join(jpegs), np.uint8))
    each = h5py.File(folder / "each.h5", "w")
    for row, jpeg in enumerate(jpegs):
        each.create_dataset(str(row), data=np.frombuffer(jpeg, np.uint8))
    group = zarr.open_group(store.path, mode="r")
    data, start, nbytes = group["image/data"], group["image/offset"][:], group["image/nbytes"][:]
    stop = start + nbytes
    work = "bytes/list of random rows"
    cases = [
        Case(work, OURS, lambda rows: store.jpeg(rows)),
        Case(work, "h5py, one flat data set", lambda rows: [flat[offset[row] : offset[row + 1]] for row in rows]),
        Case(work, "h5py, one data set an image", lambda rows: [each[str(row)][()] for row in rows]),
        Case(work, "zarr-python", lambda rows: [data[int(start[row]) : int(stop[row])] for row in rows]),
    ]
    rows = np.arange(min(64, len(jpegs)))
    for case in cases:
        assert [bytes(found) for found in case.run(rows)] == jpegs[: len(rows)], f"{case.contender} reads other bytes"
    return cases


def open_store(source: str | None, images: int, folder: Path) -> arraystore.Store:
    if source is None:
        package = make_bioscan5m(folder / "package", images)
        sources, metadata = package.sources(), package.metadata
    else:
        sources, metadata = source, None
    arraystore.ingest(sources, folder / "some.zarr", metadata=metadata, progress=False)
    return arraystore.open(folder / "some.zarr")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?")
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(args.source, args.images, Path(folder))
        count = min(args.images, len(store))
        assert (store.status[:count] == 0).all(), "the comparison wants a package without bad or missing images"
        jpegs = store.jpeg(range(count))
        cases = [
            *contenders_for_decode(store, jpegs),
            *contenders_for_crops(store, jpegs),
            *contenders_for_threads(store, jpegs),
            *contenders_for_bytes(store, jpegs, Path(folder)),
        ]
        rng = np.random.default_rng(0)
        # Work that takes microseconds an image is done for more images.
        many = {work: 8 if work.startswith("bytes/") else 1 for work in {case.work for case in cases}}
        batches = {
            work: [rng.integers(0, len(jpegs), BATCH_ROWS * times) for _ in range(args.rounds)]
            for work, times in many.items()
        }
        results = measure(cases, batches, baseline=OURS)
        mean_nbytes = np.mean([len(jpeg) for jpeg in jpegs])
        print(
            f"{len(jpegs):,} images of {mean_nbytes:,.0f} bytes, Python {platform.python_version()}, "
            f"{len(os.sched_getaffinity(0))} cores, {args.rounds} rounds\n"
        )
        print(table(results, baseline=OURS))
    if args.json:
        write_json(results, args.json)
    if args.plot:
        plot(results, args.plot)


if __name__ == "__main__":
    main()
